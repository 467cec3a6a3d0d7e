"""TensorFlow function -> bytes of a .tflite file that keeps the tensor contract."""

from __future__ import annotations

from collections.abc import Iterable

from ai_edge_litert import schema_py_generated as schema
from flatbuffers import Builder

from edge_retina.errors import ExportError
from edge_retina.export.pixel_step import begin_with_pixels, pass_pixels_through_float
from edge_retina.export.wide_bias import widen_biases
from edge_retina.model.keras import tf
from edge_retina.model.keras_internals import with_constants
from edge_retina.runtime.tensor_contract import CONTRACTS, SIGNATURE, parse_level_outputs


def convert(
    function: tf.types.experimental.PolymorphicFunction,
    *,
    int8: bool,
    float16: bool = False,
    uint8_input: bool = True,
    integer_pixels: bool = False,
    int8_ends: bool = False,
) -> bytes:
    """Convert a detection function.

    Args:
        function: from `detection_function`, `raw_function` or `levels_function`.
        int8: the model in it is fake-quantised: int8 body, uint8 input. Else all float32.
        uint8_input: False lets an int8 file take float32, for models that don't quantise the image
            as pixels.
        float16: store the constants as float16; for a float model.
        integer_pixels: see `ExportConfig.integer_pixels`.
        int8_ends: let an int8 file take and return int8, without any step at its ends.

    Raises:
        ExportError: the converter refused, or the outputs are not the contract's.
    """
    converter = tf.lite.TFLiteConverter.from_concrete_functions([_frozen(function)], tf.Module())
    if int8:
        # The ranges are in the graph: no representative data set. Operations without ranges
        # (decode, NMS) stay float.
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.inference_input_type = tf.uint8 if uint8_input else tf.float32
        if int8_ends:
            converter.inference_input_type = converter.inference_output_type = tf.int8
    elif float16:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.target_spec.supported_types = [tf.float16]
    try:
        content = converter.convert()
    except Exception as error:  # the converter raises its own kinds and bare ones
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ExportError(f"the TFLite converter refused the model: {reason}") from error
    return finish(bytes(content), integer_pixels=integer_pixels)


def _frozen(
    function: tf.types.experimental.PolymorphicFunction,
) -> tf.types.experimental.ConcreteFunction:
    """Return a function with constants in the place of variables.

    The converter saves what it gets as a SavedModel and loads it again. With each variable it would
    save functions that save and restore it, which takes longer than the conversion. And if saving
    fails, as that of a Keras model with wrapped layers does, it silently takes another way, without
    a signature. A function without variables can always be saved.
    """
    concrete = function.get_concrete_function()
    constant = with_constants(concrete)

    # The names of inputs and outputs, which freezing forgets.
    @tf.function(input_signature=concrete.structured_input_signature[0], autograph=False)
    def frozen(*inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        return tf.nest.pack_sequence_as(concrete.structured_outputs, constant(*inputs))

    return frozen.get_concrete_function()


def finish(content: bytes, *, integer_pixels: bool = False) -> bytes:
    """Put the subgraph's outputs into the order of their contract, and mend single operators.

    The converter sorts outputs by name; clients that read them by position need this order.

    Args:
        content: from the converter.
        integer_pixels: see `ExportConfig.integer_pixels`.
    """
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
    if len(model.subgraphs) != 1 or len(model.signatureDefs or ()) != 1:
        raise ExportError("the converted model must have one subgraph and one signature")
    signature = model.signatureDefs[0]
    by_name = {_text(output.name): output.tensorIndex for output in signature.outputs}
    names = _ordered(by_name)
    if names is None:
        wanted = " or ".join(str(one.names) for one in CONTRACTS)
        raise ExportError(f"the converted model has outputs {sorted(by_name)}, expected {wanted}")
    signature.signatureKey = SIGNATURE
    model.subgraphs[0].outputs = [by_name[name] for name in names]
    widen_biases(model)
    if not integer_pixels:
        pass_pixels_through_float(model)
    return _packed(model)


def with_pixel_input(content: bytes) -> bytes:
    """Return a file that takes an int8 image as one that takes its uint8 pixels.

    Args:
        content: of a file with one input, int8.
    """
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
    begin_with_pixels(model)
    return _packed(model)


def _packed(model: schema.ModelT) -> bytes:
    builder = Builder(1 << 20)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def _ordered(names: Iterable[str]) -> tuple[str, ...] | None:
    """Return the outputs' names in the order of the file's form; None if it has none."""
    contract = next((one for one in CONTRACTS if set(one.names) == set(names)), None)
    return parse_level_outputs(names) if contract is None else contract.names


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value

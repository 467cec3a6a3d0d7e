"""The detector as a TensorFlow graph that ends with its heads, one 4-D tensor for each level.

What many delegates refuse, or do worse than a CPU, comes behind the heads: reshapes to three
dimensions, concatenations of levels with different ranges, the sigmoid, top-k and NMS. Without them
an int8 file is int8 from end to end, and each level keeps its own range.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from edge_retina.errors import ExportError
from edge_retina.layer_names import parse_head_layer
from edge_retina.model.keras import keras, tf
from edge_retina.model.keras_internals import call_of
from edge_retina.runtime.tensor_contract import level_outputs


def levels_function(
    model: keras.Model, *, levels: Sequence[int]
) -> Callable[[tf.Tensor], dict[str, tf.Tensor]]:
    """Return a function from an image to the heads of each level, ready to be converted.

    Args:
        model: a deploy graph, float or fake-quantised: outputs by level, class logits then box
            codes.
        levels: of the pyramid, finest first.

    Returns:
        A tf.function of `image` (1, H, W, 3) normalised float32. Its outputs are named as in
        `tensor_contract.level_outputs`: logits (1, h, w, a * K) and codes (1, h, w, a * 4), with
        `a` anchors in a cell, in the order of the anchors.

    Raises:
        ExportError: the model doesn't end as a deploy graph does.
    """
    names = level_outputs(levels)
    # The model's name is part of the tensors' names in the file, by which layers are found again
    outputs = [_before_reshape(output) for output in model.outputs]
    heads = keras.Model(model.inputs, outputs, name=model.name)
    shape = (1, *model.input_shape[1:])

    @tf.function(input_signature=[tf.TensorSpec(shape, tf.float32, name="image")])
    def predict(image: tf.Tensor) -> dict[str, tf.Tensor]:
        return dict(zip(names, heads(image, training=False), strict=True))

    return predict


def _before_reshape(output: tf.Tensor) -> tf.Tensor:
    call = call_of(output)
    layer = parse_head_layer(call.layer.name)
    if layer is None or not layer.is_reshape:
        raise ExportError(
            f"layer {call.layer.name} at the model's end is not the reshape of a head; this is a "
            "bug, please report it with the config"
        )
    return call.inputs[0]

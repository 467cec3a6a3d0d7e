"""From uint8 pixels to int8 values: the first step of an int8 file.

The converter writes one QUANTIZE from uint8 to int8. XNNPACK doesn't take that, and LiteRT's own
kernel needs longer for a picture than DEQUANTIZE and QUANTIZE by way of float32 do together, with
XNNPACK and without. These two give the same values to the bit: float32 holds an eight-bit number
times a scale well enough to get the number back.

Files for accelerators take the int8 values themselves, or keep the QUANTIZE.
"""

from __future__ import annotations

from typing import Any

from ai_edge_litert import schema_py_generated as schema

_TYPES = schema.TensorType
_OPERATORS = schema.BuiltinOperator
_UINT8_SHIFT = 128  # between the zero points of the same values as int8 and as uint8
# From 8 bits to 8 bits, in the schema of TFLite; version 1 is from float
_REQUANTIZE_VERSION = 2


def pass_pixels_through_float(model: Any) -> int:
    """Replace each QUANTIZE of a uint8 input by DEQUANTIZE and QUANTIZE, in place.

    Args:
        model: a `schema.ModelT`.

    Returns:
        How many there were.
    """
    count = 0
    for graph in model.subgraphs:
        operators = []
        for operator in graph.operators:
            if _is_pixel_step(model, graph, operator):
                operators += _two_steps(model, graph, operator)
                count += 1
            else:
                operators.append(operator)
        graph.operators = operators
    return count


def begin_with_pixels(model: Any) -> None:
    """Put a QUANTIZE from uint8 to int8 before a model that takes int8, in place.

    Args:
        model: a `schema.ModelT` with one subgraph and one input.
    """
    (graph,) = model.subgraphs
    values = int(graph.inputs[0])
    old = graph.tensors[values]
    pixels = schema.TensorT()
    pixels.name = f"{_text(old.name)}/pixels"
    pixels.shape, pixels.shapeSignature, pixels.hasRank = old.shape, old.shapeSignature, old.hasRank
    pixels.type, pixels.buffer = _TYPES.UINT8, 0
    pixels.quantization = schema.QuantizationParametersT()
    pixels.quantization.scale = list(old.quantization.scale)
    pixels.quantization.zeroPoint = [int(old.quantization.zeroPoint[0]) + _UINT8_SHIFT]
    graph.tensors.append(pixels)
    source = len(graph.tensors) - 1
    step = _operator(model, _OPERATORS.QUANTIZE, source, values, version=_REQUANTIZE_VERSION)
    graph.operators.insert(0, step)
    graph.inputs = [source]
    for signature in model.signatureDefs or ():
        for entry in signature.inputs:
            entry.tensorIndex = source


def _is_pixel_step(model: Any, graph: Any, operator: Any) -> bool:
    if model.operatorCodes[operator.opcodeIndex].builtinCode != _OPERATORS.QUANTIZE:
        return False
    (source,), (target,) = operator.inputs, operator.outputs
    return (
        source in graph.inputs
        and graph.tensors[source].type == _TYPES.UINT8
        and graph.tensors[target].type == _TYPES.INT8
    )


def _two_steps(model: Any, graph: Any, operator: Any) -> list[Any]:
    (source,), (target,) = operator.inputs, operator.outputs
    between = schema.TensorT()
    between.name = f"{_text(graph.tensors[source].name)}/float"
    between.shape = graph.tensors[source].shape
    between.shapeSignature = graph.tensors[source].shapeSignature
    between.hasRank = graph.tensors[source].hasRank
    between.type, between.buffer = _TYPES.FLOAT32, 0
    graph.tensors.append(between)
    middle = len(graph.tensors) - 1
    return [
        _operator(model, _OPERATORS.DEQUANTIZE, int(source), middle),
        _operator(model, _OPERATORS.QUANTIZE, middle, int(target)),
    ]


def _operator(model: Any, builtin: int, source: int, target: int, *, version: int = 1) -> Any:
    operator = schema.OperatorT()
    operator.opcodeIndex = _code(model, builtin, version)
    operator.inputs, operator.outputs = [source], [target]
    kind = "DequantizeOptions" if builtin == _OPERATORS.DEQUANTIZE else "QuantizeOptions"
    operator.builtinOptionsType = getattr(schema.BuiltinOptions, kind)
    operator.builtinOptions = getattr(schema, f"{kind}T")()
    return operator


def _code(model: Any, builtin: int, version: int) -> int:
    """Return the index of an operator's code; add it if there is none."""
    for index, code in enumerate(model.operatorCodes):
        if code.builtinCode == builtin and code.version == version:
            return index
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = builtin
    code.version = version
    model.operatorCodes.append(code)
    return len(model.operatorCodes) - 1


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value

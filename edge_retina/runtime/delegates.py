"""Which accelerators are likely to take a graph, by the operators that their documentation lists.

An estimate: drivers differ, and a listed operator can be refused for its parameters. What XNNPACK
takes is measured instead, see `inspection`.
"""

from __future__ import annotations

from dataclasses import dataclass

from edge_retina.runtime.graph import Graph, OperatorInfo


def _listed(text: str) -> frozenset[str]:
    return frozenset(text.split())


# tensorflow.org/lite/performance/gpu; the last line is what the delegate's sources have besides
_GPU = _listed("""
    ADD AVERAGE_POOL_2D CONCATENATION CONV_2D DEPTHWISE_CONV_2D EXP FULLY_CONNECTED LOGICAL_AND
    LOGISTIC LSTM MAX_POOL_2D MAXIMUM MINIMUM MUL PAD PRELU RELU RELU6 RESHAPE RESIZE_BILINEAR
    SOFTMAX STRIDED_SLICE SUB TRANSPOSE_CONV
    DEQUANTIZE DIV HARD_SWISH MEAN QUANTIZE RESIZE_NEAREST_NEIGHBOR SPLIT SQRT TANH
""")
# developer.android.com/ndk/guides/neuralnetworks, feature level 3 (Android 10)
_NNAPI = _listed("""
    ADD ARG_MAX ARG_MIN AVERAGE_POOL_2D CAST CONCATENATION CONV_2D DEPTHWISE_CONV_2D DEQUANTIZE DIV
    EQUAL EXP EXPAND_DIMS FULLY_CONNECTED GATHER GREATER LESS LOGISTIC LSTM MAXIMUM MAX_POOL_2D
    MEAN MINIMUM MUL PAD PRELU QUANTIZE RELU RELU6 RESHAPE RESIZE_BILINEAR RESIZE_NEAREST_NEIGHBOR
    SLICE SOFTMAX SPLIT SQRT SQUEEZE STRIDED_SLICE SUB TANH TOPK_V2 TRANSPOSE TRANSPOSE_CONV
""")
# coral.ai/docs/edgetpu/models-intro
_EDGE_TPU = _listed("""
    ADD AVERAGE_POOL_2D CONCATENATION CONV_2D DEPTHWISE_CONV_2D EXPAND_DIMS FULLY_CONNECTED
    L2_NORMALIZATION LOGISTIC LSTM MAXIMUM MAX_POOL_2D MEAN MINIMUM MUL PACK PAD PRELU QUANTIZE
    RELU RELU6 RELU_N1_TO_1 RESHAPE RESIZE_BILINEAR RESIZE_NEAREST_NEIGHBOR RSQRT SLICE SOFTMAX
    SPACE_TO_DEPTH SPLIT SQUEEZE STRIDED_SLICE SUB SUM TANH TRANSPOSE TRANSPOSE_CONV
""")
# tensorflow.org/lite/android/delegates/hexagon
_HEXAGON = _listed("""
    ADD ARG_MAX ARG_MIN AVERAGE_POOL_2D CONCATENATION CONV_2D DEPTHWISE_CONV_2D DEPTH_TO_SPACE
    FULLY_CONNECTED HARD_SWISH L2_NORMALIZATION LOGISTIC MAXIMUM MAX_POOL_2D MEAN MINIMUM MIRROR_PAD
    MUL PACK PAD QUANTIZE RELU RELU6 RESHAPE RESIZE_BILINEAR RESIZE_NEAREST_NEIGHBOR RSQRT SLICE
    SOFTMAX SPACE_TO_DEPTH SPLIT STRIDED_SLICE SUB TANH TRANSPOSE TRANSPOSE_CONV
""")


@dataclass(frozen=True)
class DelegateEstimate:
    """What an accelerator is likely to run.

    Attributes:
        name: of the delegate.
        operators: how many it could take.
        operators_total: of the graph.
        macs_share: of the multiplications, 0..1.
        whole: whether that is all.
        left: types of the operators that stay on the CPU, the first one first.
    """

    name: str
    operators: int
    operators_total: int
    macs_share: float
    whole: bool
    left: tuple[str, ...]


def estimate_delegates(graph: Graph) -> tuple[DelegateEstimate, ...]:
    """Return an estimate for each delegate, for a graph that may be of any kind."""
    return (
        _estimate(graph, "GPU", _GPU),
        _estimate(graph, "NNAPI", _NNAPI),
        # Its compiler stops at the first operator that it can't map
        _estimate(graph, "Edge TPU", _EDGE_TPU, int8=True, prefix=True),
        _estimate(graph, "Hexagon", _HEXAGON, int8=True),
    )


def _estimate(
    graph: Graph, name: str, known: frozenset[str], *, int8: bool = False, prefix: bool = False
) -> DelegateEstimate:
    fits = [
        not op.is_custom and op.name in known and (not int8 or _is_int8(graph, op))
        for op in graph.operators
    ]
    if prefix and False in fits:
        first = fits.index(False)
        fits = [fit and index < first for index, fit in enumerate(fits)]
    macs = sum(op.macs for op in graph.operators)
    taken = sum(op.macs for op, fit in zip(graph.operators, fits, strict=True) if fit)
    left = [op.name for op, fit in zip(graph.operators, fits, strict=True) if not fit]
    return DelegateEstimate(
        name=name,
        operators=sum(fits),
        operators_total=len(fits),
        macs_share=taken / macs if macs else 0.0,
        whole=all(fits) and bool(fits),
        left=tuple(dict.fromkeys(left)),
    )


def _is_int8(graph: Graph, operator: OperatorInfo) -> bool:
    return all(tensor.dtype in ("int8", "uint8") for tensor in graph.activations(operator))

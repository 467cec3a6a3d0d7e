"""NPUs of phones: LiteRT compiles the file for Qualcomm's and MediaTek's, and for others.

What is here is what both compilers take. Several partitions are slow, and on some Hexagons they
crash (https://github.com/google-ai-edge/LiteRT/issues/5141), so nothing may be left to the CPU.
"""

from edge_retina.export.targets.rules import (
    activation_types,
    allowed_operators,
    most_dimensions,
    one_image,
    static_shapes,
)
from edge_retina.export.targets.target import Target

_VENDORS = "https://github.com/google-ai-edge/LiteRT/blob/main/litert/vendors"
_QUALCOMM = f"{_VENDORS}/qualcomm/compiler/Qualcomm_QNN_Compiler.md"
_MEDIATEK = f"{_VENDORS}/mediatek/compiler/MediaTek_Neuro_Compiler.md"
_HEXAGON = (
    "https://github.com/tensorflow/tensorflow/blob/master/tensorflow/lite/delegates/hexagon/"
    "utils.cc"
)
_GUIDE = "https://ai.google.dev/edge/litert/next/npu"

TARGET = Target(
    name="npu",
    runs_on="NPUs of phones (LiteRT with Qualcomm's or MediaTek's compiler)",
    rules=(
        allowed_operators(
            """
            ABS ADD AVERAGE_POOL_2D BATCH_MATMUL CAST CONCATENATION CONV_2D DEPTHWISE_CONV_2D
            DEQUANTIZE DIV FULLY_CONNECTED GELU GREATER HARD_SWISH L2_NORMALIZATION LEAKY_RELU LESS
            LOGISTIC MAXIMUM MAX_POOL_2D MEAN MINIMUM MUL PAD PADV2 PRELU QUANTIZE REDUCE_MAX RELU
            RESHAPE RESIZE_BILINEAR RESIZE_NEAREST_NEIGHBOR RSQRT SLICE SOFTMAX SPLIT SQRT
            SQUARED_DIFFERENCE STRIDED_SLICE SUB SUM TANH TILE TRANSPOSE TRANSPOSE_CONV UNPACK
            """,
            _MEDIATEK,  # each of them is in Qualcomm's list too
        ),
        activation_types(("int8",), _QUALCOMM),
        most_dimensions(4, _HEXAGON),
        one_image(_GUIDE),
        static_shapes(_GUIDE),
    ),
)

"""Arm's Ethos-U NPUs beside a microcontroller: the compiler Vela puts the graph on them.

Whatever breaks a rule here is left to the microcontroller by Vela, without a word but in its
report.
"""

from edge_retina.export.targets.rules import (
    activation_types,
    allowed_operators,
    kernel_sizes,
    longest_side,
    most_dimensions,
    one_image,
    scales_of_channels,
    static_shapes,
)
from edge_retina.export.targets.target import Target

# Written by Vela itself: `vela --supported-ops-report`. What is here is what version 5.2.0 says of
# the U55, the U65 and the U85; the sizes of tensors and kernels are from version 3.12, which checks
# them, too.
_VELA = "https://git.mlplatform.org/ml/ethos-u/ethos-u-vela.git/about/SUPPORTED_OPS.md"

TARGET = Target(
    name="ethos-u",
    runs_on="Arm Ethos-U55, U65 and U85, after vela",
    has_metadata=False,  # it would lie in the flash
    rules=(
        allowed_operators(
            """
            ABS ADD ARG_MAX AVERAGE_POOL_2D BATCH_MATMUL CONCATENATION CONV_2D DEPTHWISE_CONV_2D ELU
            EXP EXPAND_DIMS FULLY_CONNECTED GELU HARD_SWISH LEAKY_RELU LOG LOGISTIC MAXIMUM
            MAX_POOL_2D MEAN MINIMUM MIRROR_PAD MUL NEG PACK PAD PADV2 PRELU QUANTIZE REDUCE_MAX
            REDUCE_MIN RELU RELU6 RELU_0_TO_1 RELU_N1_TO_1 RESHAPE RESIZE_BILINEAR
            RESIZE_NEAREST_NEIGHBOR REVERSE_V2 RSQRT SLICE SOFTMAX SPLIT SPLIT_V SQUARED_DIFFERENCE
            SQUEEZE STRIDED_SLICE SUB SUM TANH TILE TRANSPOSE TRANSPOSE_CONV UNPACK
            """,
            _VELA,
        ),
        activation_types(("int8",), _VELA),
        most_dimensions(4, _VELA),
        one_image(_VELA),
        static_shapes(_VELA),
        longest_side(65535, _VELA),
        kernel_sizes(height=64, area=64 * 64, source=_VELA),
        scales_of_channels("CONV_2D DEPTHWISE_CONV_2D FULLY_CONNECTED TRANSPOSE_CONV", _VELA),
    ),
)

"""Coral's Edge TPU: `edgetpu_compiler` maps the graph up to the first operator that it can't.

The image is uint8, as Coral's libraries give it; the first operator makes int8 of it.
"""

from edge_retina.export.targets.rules import (
    activation_types,
    allowed_operators,
    most_wide_dimensions,
    static_shapes,
)
from edge_retina.export.targets.target import Target

_GUIDE = "https://coral.ai/docs/edgetpu/models-intro/"  # model requirements, supported operations

TARGET = Target(
    name="edgetpu",
    runs_on="Coral boards and sticks, after edgetpu_compiler",
    input_dtype="uint8",
    rules=(
        # RESIZE_NEAREST_NEIGHBOR is in the list, but not in the version that is written today:
        # https://github.com/google-coral/edgetpu/issues/187
        allowed_operators(
            """
            ADD AVERAGE_POOL_2D CONCATENATION CONV_2D DEPTHWISE_CONV_2D EXPAND_DIMS FULLY_CONNECTED
            L2_NORMALIZATION LOGISTIC MAXIMUM MAX_POOL_2D MEAN MINIMUM MUL PACK PAD PRELU QUANTIZE
            REDUCE_MAX REDUCE_MIN RELU RELU6 RELU_N1_TO_1 RESHAPE RESIZE_BILINEAR RSQRT SLICE
            SOFTMAX SPACE_TO_DEPTH SPLIT SQUEEZE STRIDED_SLICE SUB SUM SQUARED_DIFFERENCE TANH
            TRANSPOSE TRANSPOSE_CONV
            """,
            _GUIDE,
        ),
        activation_types(("int8", "uint8"), _GUIDE),
        most_wide_dimensions(3, _GUIDE),
        static_shapes(_GUIDE),
    ),
)

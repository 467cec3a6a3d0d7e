"""Microcontrollers with TensorFlow Lite Micro, on their own CPU."""

from edge_retina.export.targets.rules import (
    activation_types,
    allowed_operators,
    most_dimensions,
    one_image,
    static_shapes,
)
from edge_retina.export.targets.target import Target

_RESOLVER = (
    "https://github.com/tensorflow/tflite-micro/blob/main/tensorflow/lite/micro/"
    "micro_mutable_op_resolver.h"
)
_KERNELS = "https://github.com/tensorflow/tflite-micro/tree/main/tensorflow/lite/micro/kernels"

TARGET = Target(
    name="micro",
    runs_on="microcontrollers (TensorFlow Lite Micro)",
    has_metadata=False,  # it would lie in the flash
    rules=(
        allowed_operators(
            """
            ABS ADD ADD_N ARG_MAX ARG_MIN AVERAGE_POOL_2D BATCH_MATMUL BATCH_TO_SPACE_ND CAST CEIL
            CONCATENATION CONV_2D COS CUMSUM DEPTHWISE_CONV_2D DEPTH_TO_SPACE DEQUANTIZE DIV ELU
            EQUAL EXP EXPAND_DIMS FILL FLOOR FLOOR_DIV FLOOR_MOD FULLY_CONNECTED GATHER GATHER_ND
            GREATER GREATER_EQUAL HARD_SWISH L2_NORMALIZATION L2_POOL_2D LEAKY_RELU LESS LESS_EQUAL
            LOG LOGICAL_AND LOGICAL_NOT LOGICAL_OR LOGISTIC LOG_SOFTMAX MAXIMUM MAX_POOL_2D MEAN
            MINIMUM MIRROR_PAD MUL NEG NOT_EQUAL PACK PAD PADV2 PRELU QUANTIZE REDUCE_MAX RELU RELU6
            RESHAPE RESIZE_BILINEAR RESIZE_NEAREST_NEIGHBOR ROUND RSQRT SELECT_V2 SHAPE SIN SLICE
            SOFTMAX SPACE_TO_BATCH_ND SPACE_TO_DEPTH SPLIT SPLIT_V SQRT SQUARE SQUARED_DIFFERENCE
            SQUEEZE STRIDED_SLICE SUB SUM SVDF TANH TRANSPOSE TRANSPOSE_CONV UNPACK
            """,
            _RESOLVER,
        ),
        activation_types(("int8",), _KERNELS),
        most_dimensions(4, _KERNELS),
        one_image(_KERNELS),
        static_shapes(_KERNELS),
    ),
)

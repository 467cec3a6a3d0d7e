"""GPUs through LiteRT's delegate or its CompiledModel, with OpenCL, OpenGL, Metal or WebGPU.

One operator that it doesn't have makes CompiledModel refuse the whole file
(https://github.com/google-ai-edge/LiteRT/issues/7936). It computes in float16 unless told
otherwise, so the weights are stored that way.
"""

from edge_retina.export.targets.rules import (
    activation_types,
    allowed_operators,
    most_dimensions,
    one_image,
    static_shapes,
)
from edge_retina.export.targets.target import RESIZE, Target

_GUIDE = "https://ai.google.dev/edge/litert/performance/gpu"
# Which operators it parses, and that more than four dimensions or a batch are none of them
_PARSER = (
    "https://github.com/tensorflow/tensorflow/blob/master/tensorflow/lite/delegates/gpu/common/"
    "model_builder.cc"
)

TARGET = Target(
    name="gpu",
    runs_on="GPUs of phones and browsers (LiteRT GPU delegate, CompiledModel, WebGPU)",
    precision="float16",
    input_dtype="float32",
    # Built from concatenations and reshapes, the rows of a map become channels: more than a
    # texture holds, for large images
    upsampling=RESIZE,
    rules=(
        allowed_operators(
            """
            ADD AVERAGE_POOL_2D CONCATENATION CONV_2D DEPTHWISE_CONV_2D DEQUANTIZE DIV EXP
            FULLY_CONNECTED HARD_SWISH LOGISTIC MAXIMUM MAX_POOL_2D MEAN MINIMUM MUL PAD PRELU RELU
            RELU6 RESHAPE RESIZE_BILINEAR RESIZE_NEAREST_NEIGHBOR SOFTMAX STRIDED_SLICE SUB TANH
            TRANSPOSE_CONV
            """,
            _PARSER,
        ),
        activation_types(("float32",), _GUIDE),
        most_dimensions(4, _PARSER),
        one_image(_PARSER),
        static_shapes(_GUIDE),
    ),
)

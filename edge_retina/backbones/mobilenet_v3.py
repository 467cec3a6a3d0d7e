"""MobileNetV3-Large minimalistic (Howard et al. 2019; the variant is that of TensorFlow Slim).

It does without squeeze-and-excitation, hard-swish and 5x5 kernels. What is left, convolutions, ReLU
and additions, all int8 kernels and delegates support.
"""

from __future__ import annotations

from edge_retina.backbones.backbone import Backbone

BACKBONE = Backbone(
    keras_name="MobileNetV3Large",
    options={"minimalistic": True, "include_preprocessing": False},
    # As of MobileNetV2: the expanded tensors just before each stride.
    taps={3: "expanded_conv_6_expand_relu", 4: "expanded_conv_12_expand_relu", 5: "Conv_1_relu"},
    early_ends={1: "expanded_conv_1_expand_relu", 2: "expanded_conv_3_expand_relu"},
    layer_prefixes=("Conv", "expanded_conv"),
    widths=(0.35, 0.5, 0.75, 1.0),
    imagenet_widths=(1.0,),
)

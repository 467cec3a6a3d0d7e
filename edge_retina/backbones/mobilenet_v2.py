"""MobileNetV2 (Sandler et al. 2018)."""

from __future__ import annotations

from edge_retina.backbones.backbone import Backbone

BACKBONE = Backbone(
    keras_name="MobileNetV2",
    # The expanded tensors just before each stride, after ReLU6: six times as wide as the block
    # outputs, which at width 0.35 have only 16 channels at stride 8. (SSD on MobileNetV2 taps the
    # same places.)
    taps={3: "block_6_expand_relu", 4: "block_13_expand_relu", 5: "out_relu"},
    early_ends={1: "block_1_expand_relu", 2: "block_3_expand_relu"},
    layer_prefixes=("Conv1", "bn_Conv1", "expanded_conv", "block_", "Conv_1", "out_relu"),
    widths=(0.35, 0.5, 0.75, 1.0),
    imagenet_widths=(0.35, 0.5, 0.75, 1.0),
)

"""SSD MobileNetV2 FPNLite of the TF2 Object Detection API."""

from __future__ import annotations

import dataclasses

from edge_retina.wirings.wiring import Wiring

WIRING = Wiring(
    # Block outputs, without an activation.
    taps={"mobilenet_v2": {3: "block_5_add", 4: "block_12_add", 5: "out_relu"}},
    top_channels=256,
    has_lateral_bias=True,
    merges_smoothed=True,
    smooths_top=False,
    shares_tower=True,
)
# Some versions of its extractor build the backbone's last convolution with all its channels.
WIDE = dataclasses.replace(WIRING, top_channels=None)

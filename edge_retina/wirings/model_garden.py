"""RetinaNet on MobileNetV2 of the TensorFlow Model Garden, with separable convolutions."""

from __future__ import annotations

from edge_retina.wirings.wiring import Wiring

WIRING = Wiring(
    # Block outputs, without an activation.
    taps={"mobilenet_v2": {3: "block_5_add", 4: "block_12_add", 5: "block_16_project_BN"}},
    has_lateral_bias=True,
    has_final_activation=False,
    coarsens_before_norm=True,
)

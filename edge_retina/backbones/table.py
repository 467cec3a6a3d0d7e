"""The backbones by name, as in `model.backbone`."""

from __future__ import annotations

from edge_retina.backbones import mobilenet_v2, mobilenet_v3
from edge_retina.backbones.backbone import Backbone

BACKBONES: dict[str, Backbone] = {
    "mobilenet_v2": mobilenet_v2.BACKBONE,
    "mobilenet_v3_large_minimalistic": mobilenet_v3.BACKBONE,
}

"""The float training model: backbone, pyramid, heads."""

from __future__ import annotations

from edge_retina.boxes.anchors import AnchorGrid
from edge_retina.config import ModelConfig
from edge_retina.layer_names import BOX_DELTAS, BOX_HEAD, CLASS_HEAD, CLASS_LOGITS
from edge_retina.model.backbone import build_backbone
from edge_retina.model.fpn import build_fpn
from edge_retina.model.heads import build_head, build_shared_tower, prior_bias
from edge_retina.model.keras import keras
from edge_retina.wirings.table import WIRINGS


def build_retinanet(model: ModelConfig, *, num_classes: int, anchors: AnchorGrid) -> keras.Model:
    """Build the network without pretrained weights.

    Args:
        model: sizes of the network.
        num_classes: K.
        anchors: gives levels and shapes per cell.

    Returns:
        A functional model from normalised images (B, H, W, 3) to `cls_logits` (B, A, K) and
        `box_deltas` (B, A, 4), anchors in the order of `AnchorGrid.boxes_px`.

    Source: Lin et al. 2017, Focal Loss for Dense Object Detection.
    """
    image = keras.Input((*model.image_hw, 3), name="image")
    wiring = WIRINGS[model.wiring]
    features = build_backbone(
        image, backbone=model.backbone, width=model.backbone_width, wiring=wiring
    )
    pyramid = build_fpn(
        features,
        channels=model.fpn_channels,
        min_level=model.min_level,
        max_level=model.max_level,
        wiring=wiring,
    )
    tower = {"channels": model.fpn_channels, "depth": model.head_depth}
    if wiring.shares_tower:
        pyramid, tower["depth"] = build_shared_tower(pyramid, **tower), 0
    cls = build_head(
        pyramid,
        name=CLASS_HEAD,
        outputs_per_anchor=num_classes,
        anchors_per_cell=anchors.per_cell,
        output_bias=prior_bias(model.prior_probability),
        **tower,
    )
    box = build_head(
        pyramid, name=BOX_HEAD, outputs_per_anchor=4, anchors_per_cell=anchors.per_cell, **tower
    )
    return keras.Model(
        image, [_concatenate(cls, CLASS_LOGITS), _concatenate(box, BOX_DELTAS)], name="retinanet"
    )


def _concatenate(levels: list, name: str) -> keras.KerasTensor:
    if len(levels) == 1:
        return keras.layers.Activation("linear", name=name)(levels[0])
    return keras.layers.Concatenate(axis=1, name=name)(levels)

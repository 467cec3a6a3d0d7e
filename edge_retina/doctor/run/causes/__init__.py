"""The causes that `doctor RUN` knows. To add one, write its file and its line here."""

from __future__ import annotations

from edge_retina.doctor.run.causes.anchor_sizes import ANCHORS
from edge_retina.doctor.run.causes.augmentation import STRONG
from edge_retina.doctor.run.causes.box_offset import OFFSET
from edge_retina.doctor.run.causes.decoding import DECODING
from edge_retina.doctor.run.causes.duration import SHORT
from edge_retina.doctor.run.causes.focal_loss import GAMMA
from edge_retina.doctor.run.causes.generalisation import BATCHNORM, OVERFITTING
from edge_retina.doctor.run.causes.labels import MISSING, MIXED, TWICE
from edge_retina.doctor.run.causes.learning_rate import HIGH, LOW
from edge_retina.doctor.run.causes.rare_classes import RARE
from edge_retina.doctor.run.causes.resolution import RESOLUTION
from edge_retina.doctor.run.suspicion import Cause

CAUSES: tuple[Cause, ...] = (
    HIGH,
    BATCHNORM,
    MIXED,
    TWICE,
    MISSING,
    OFFSET,
    LOW,
    SHORT,
    ANCHORS,
    GAMMA,
    STRONG,
    RESOLUTION,
    OVERFITTING,
    RARE,
    DECODING,
)

"""The augmentations, in the order in which they are applied.

To add one, write its file, its fields in `config.AugmentationConfig` and its line here. Those that
need pixels come first; see `input_pipeline.augmentation`.
"""

from __future__ import annotations

from edge_retina.input_pipeline.augmentation import Augmentation
from edge_retina.input_pipeline.augmentations.aspect import aspect
from edge_retina.input_pipeline.augmentations.brightness import brightness
from edge_retina.input_pipeline.augmentations.contrast import contrast
from edge_retina.input_pipeline.augmentations.horizontal_flip import horizontal_flip
from edge_retina.input_pipeline.augmentations.hue import hue
from edge_retina.input_pipeline.augmentations.rotation import rotation
from edge_retina.input_pipeline.augmentations.saturation import saturation
from edge_retina.input_pipeline.augmentations.scale import scale
from edge_retina.input_pipeline.augmentations.translate import translate
from edge_retina.input_pipeline.augmentations.transpose import transpose
from edge_retina.input_pipeline.augmentations.vertical_flip import vertical_flip

AUGMENTATIONS: tuple[Augmentation, ...] = (
    horizontal_flip,
    vertical_flip,
    transpose,
    rotation,
    scale,
    aspect,
    translate,
    saturation,
    hue,
    contrast,
    brightness,
)

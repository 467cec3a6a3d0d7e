"""The augmentations, in the order in which they are applied.

To add one, write its file, its fields in `config.AugmentationConfig` and its line here. Those that
need another image come first (see `input_pipeline.augmentation`), `crop` is the last that moves
anything, and the pixel steps follow the way of light: lens, sensor, file.
"""

from __future__ import annotations

from edge_retina.input_pipeline.augmentation import Augmentation
from edge_retina.input_pipeline.augmentations.aspect import aspect
from edge_retina.input_pipeline.augmentations.blur import blur
from edge_retina.input_pipeline.augmentations.brightness import brightness
from edge_retina.input_pipeline.augmentations.contrast import contrast
from edge_retina.input_pipeline.augmentations.copy_paste import copy_paste
from edge_retina.input_pipeline.augmentations.crop import crop
from edge_retina.input_pipeline.augmentations.horizontal_flip import horizontal_flip
from edge_retina.input_pipeline.augmentations.hue import hue
from edge_retina.input_pipeline.augmentations.jpeg import jpeg
from edge_retina.input_pipeline.augmentations.mosaic import mosaic
from edge_retina.input_pipeline.augmentations.noise import noise
from edge_retina.input_pipeline.augmentations.rotation import rotation
from edge_retina.input_pipeline.augmentations.saturation import saturation
from edge_retina.input_pipeline.augmentations.scale import scale
from edge_retina.input_pipeline.augmentations.shear import shear
from edge_retina.input_pipeline.augmentations.translate import translate
from edge_retina.input_pipeline.augmentations.transpose import transpose
from edge_retina.input_pipeline.augmentations.vertical_flip import vertical_flip

AUGMENTATIONS: tuple[Augmentation, ...] = (
    mosaic,
    copy_paste,
    horizontal_flip,
    vertical_flip,
    transpose,
    rotation,
    shear,
    scale,
    aspect,
    translate,
    crop,
    saturation,
    hue,
    contrast,
    brightness,
    blur,
    noise,
    jpeg,
)

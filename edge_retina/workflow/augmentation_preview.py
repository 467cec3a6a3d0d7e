"""Show what a training will see, without training."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2

from edge_retina.boxes.anchors import size_text
from edge_retina.config import AugmentationConfig, Config
from edge_retina.errors import ConfigError, DatasetError
from edge_retina.files import write_bytes
from edge_retina.input_pipeline.augmentation_effect import (
    DRAWS,
    AugmentationEffect,
    examine_augmentation,
)
from edge_retina.input_pipeline.contact_sheet import ContactSheet, contact_sheet
from edge_retina.workflow.anchors import resolve_anchors
from edge_retina.workflow.prepare import check_data, read_data

_SUFFIXES = (".jpg", ".jpeg", ".png")


@dataclass(frozen=True)
class AugmentationPreview:
    """A contact sheet and figures of more draws.

    Attributes:
        sheet: what was drawn.
        effect: on the objects of the first `DRAWS` draws.
        warnings: see `examine_augmentation`.
    """

    sheet: ContactSheet
    effect: AugmentationEffect
    warnings: list[str]

    def to_dict(self) -> dict[str, Any]:
        """Return all but the pixels, for JSON."""
        sheet = {name: getattr(self.sheet, name) for name in ("kept", "cut", "ignored")}
        effect = dataclasses.asdict(self.effect)
        return {"sheet": sheet, "draws": DRAWS, "effect": effect, "warnings": self.warnings}


def preview_augmentation(config: Config, target: Path) -> AugmentationPreview:
    """Write a contact sheet of the training that `config` describes, and measure its objects.

    Args:
        config: of the training. The data are checked as before a training, so that its very first
            draws are shown.
        target: a .jpg or .png file.

    Raises:
        ConfigError: another suffix, or no data set.
        DatasetError: the data can't be used.
    """
    if target.suffix.lower() not in _SUFFIXES:
        raise ConfigError(
            f"--preview-augmentation {target}: the file's name must end in {', '.join(_SUFFIXES)}"
        )
    data = check_data(read_data(config), skip_invalid=config.data.skip_invalid)
    if not data.train:
        raise DatasetError(f"{data.dataset.root}: the train split has no sound images to preview")
    grid, settings = resolve_anchors(config, data.train), config.augmentation
    sheet = contact_sheet(
        data.train,
        data.dataset.labels,
        image_hw=grid.image_hw,
        settings=settings,
        seed=config.seed,
        title=f"{data.dataset.name}, {size_text(grid.image_hw)} px, seed {config.seed}: "
        f"{settings_text(settings)}",
    )
    _, pixels = cv2.imencode(target.suffix, cv2.cvtColor(sheet.image_rgb, cv2.COLOR_RGB2BGR))
    write_bytes(target, pixels.tobytes())
    effect, warnings = examine_augmentation(data.train, grid, settings, seed=config.seed)
    return AugmentationPreview(sheet, effect, warnings)


def settings_text(settings: AugmentationConfig) -> str:
    """Return the level and all settings that change something, on one line."""
    texts = [f"level {settings.level}"] if settings.level else []
    for field in dataclasses.fields(settings):
        value = getattr(settings, field.name)
        if isinstance(value, tuple):
            texts += [f"{field.name} {value[0]:g}..{value[1]:g}"] if value != (1, 1) else []
        elif field.name != "level" and value:
            texts.append(f"{field.name} {value:g}")
    return ", ".join(texts)

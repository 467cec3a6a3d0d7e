"""The demonstration: generated pictures and the settings that suit them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from edge_retina.config import Config, load_config
from edge_retina.datasets.generated import generate_dataset

# Enough for four classes; a picture takes about 10 ms to draw.
IMAGES = {"train": 800, "val": 60, "test": 150}


def demo_config(
    data: Path,
    *,
    overrides: Sequence[str],
    seed: int | None,
    images: Mapping[str, int] = IMAGES,
) -> Config:
    """Return the demo's config; the pictures are drawn first if `data` isn't there.

    Args:
        data: directory for the pictures; written whole or not at all.
        overrides: `key=value` texts.
        seed: of pictures and training; None for 0.
        images: how many are drawn, by split.
    """
    if seed is not None:
        overrides = (*overrides, f"seed={seed}")
    quoted = json.dumps(str(data.resolve()))
    config = load_config(preset="demo", overrides=(f"data.path={quoted}", *overrides))
    if not data.exists():
        generate_dataset(data, images=images, seed=config.seed)
    return config

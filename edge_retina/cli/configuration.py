"""CONFIG.toml or DATA on the command line."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from edge_retina.config import Config, load_config


def with_seed(overrides: Sequence[str], seed: int | None) -> tuple[str, ...]:
    """Return `--set` overrides with that of `--seed` behind them; None adds nothing."""
    return (*overrides, f"seed={seed}") if seed is not None else tuple(overrides)


def read_config(source: Path, *, overrides: Sequence[str], seed: int | None) -> Config:
    """Return the config of a TOML file, or the default one for a data set.

    Args:
        source: a .toml file, or DATA.
        overrides: `key=value` texts.
        seed: replaces the config's; None leaves it.

    Raises:
        ConfigError: see `load_config`.
    """
    overrides = with_seed(overrides, seed)
    # A dataset.toml describes a data set; every other .toml is a config.
    if source.suffix == ".toml" and source.name != "dataset.toml":
        return load_config(source, overrides=overrides)
    quoted = json.dumps(str(source))  # a TOML string, whatever is in the path
    return load_config(overrides=(f"data.path={quoted}", *overrides))

"""Settings as users give them: CONFIG.toml or DATA, and what overrides it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from edge_retina.config import Config, load_config


def with_seed(overrides: Sequence[str], seed: int | None) -> tuple[str, ...]:
    """Return the `--set` overrides followed by that of `--seed`; None adds nothing."""
    return (*overrides, f"seed={seed}") if seed is not None else tuple(overrides)


def with_init(overrides: Sequence[str], init: str | None) -> tuple[str, ...]:
    """Return the `--set` overrides followed by that of `--init`; None adds nothing."""
    return (*overrides, f"train.init={_quoted(init)}") if init is not None else tuple(overrides)


def read_config(source: Path, *, overrides: Sequence[str], seed: int | None) -> Config:
    """Return the config of a TOML file, or the default config for a data set.

    Args:
        source: a .toml file, or DATA.
        overrides: `key=value` strings.
        seed: replaces the seed of the config; None keeps it.

    Raises:
        ConfigError: see `load_config`.
    """
    overrides = with_seed(overrides, seed)
    # dataset.toml describes a data set; any other .toml is a config.
    if source.suffix == ".toml" and source.name != "dataset.toml":
        return load_config(source, overrides=overrides)
    return load_config(overrides=(f"data.path={_quoted(str(source))}", *overrides))


def _quoted(path: str) -> str:
    """Return a TOML string, whatever the path contains."""
    return json.dumps(path)

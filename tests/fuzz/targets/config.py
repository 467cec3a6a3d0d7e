"""The config, and the recipe of a quantisation."""

from __future__ import annotations

from pathlib import Path

from edge_retina.config import load_config
from edge_retina.int8.recipe import load_recipe
from tests.fuzz.target import Target


def check(content: bytes, name: str, directory: Path) -> None:
    """Read it as the file of `--config`, as that of a RUN, or as a recipe."""
    path = directory / name
    path.write_bytes(content)
    if name == "recipe.toml":
        load_recipe(str(path)).to_dict()
    else:
        load_config(path, overrides=["seed=3"]).to_dict()
        load_config(path, resolved=True)


TARGET = Target("config", check)

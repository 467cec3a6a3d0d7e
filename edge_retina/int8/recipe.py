"""Recipes: what is quantised how, by layer name. TOML files; some are shipped in `recipes/`.

A recipe states the rule for the whole network and exceptions for layers whose names match a
pattern. Layer names are those of the deploy graph (`block_3_expand`, `p4_smooth_dw`,
`cls_p3_conv0_pw`); `edge-retina doctor RUN --quantization` lists them.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from edge_retina.config import is_path, read_toml
from edge_retina.errors import ConfigError, choices_hint
from edge_retina.schema import Reader, option, to_plain

WEIGHTS = ("per-channel", "per-tensor", "float")
ACTIVATIONS = ("int8", "int16", "float", "dynamic")
_SHIPPED = Path(__file__).parent / "recipes"


@dataclass(frozen=True)
class LayerRule:
    """An exception for some layers.

    Attributes:
        match: pattern of layer names, with `*`, `?` and `[...]`.
        weights: one of `WEIGHTS`; "" leaves them as they are.
        activations: "float" to leave the layer's output unquantised; "" otherwise.
    """

    match: str
    weights: str = option("", "of the matching layers", choices=("", *WEIGHTS))
    activations: str = option("", "of the matching layers", choices=("", "float"))


@dataclass(frozen=True)
class Recipe:
    """What is quantised how.

    Attributes:
        description: for people.
        weights: of convolutions: int8 with a scale for each output channel, with one scale for the
            tensor, or not at all.
        activations: "int8"; "int16" (weights stay int8); "float" (only weights are stored in int8);
            "dynamic" (the kernels quantise what comes in, each time; float32 input).
        share_levels: one range for what a layer of the shared heads puts out on all levels,
            instead of a range for each.
        layers: exceptions; of several that match, the last one counts.
    """

    description: str = "int8 weights per channel, int8 activations with a range for each tensor"
    weights: str = option("per-channel", "of all layers", choices=WEIGHTS)
    activations: str = option("int8", "of the whole network", choices=ACTIVATIONS)
    share_levels: bool = False
    layers: tuple[LayerRule, ...] = ()

    def weights_of(self, layer: str) -> str:
        """Return how a layer's kernel is quantised, one of `WEIGHTS`."""
        return self._last(layer, "weights") or self.weights

    def activations_of(self, layer: str) -> str:
        """Return how a layer's output is quantised, one of `ACTIVATIONS`."""
        return self._last(layer, "activations") or self.activations

    def _last(self, layer: str, field: str) -> str:
        said = [getattr(rule, field) for rule in self.layers if fnmatchcase(layer, rule.match)]
        return next((value for value in reversed(said) if value), "")

    def check_layers(self, names: Sequence[str]) -> None:
        """Refuse patterns that match no layer.

        Raises:
            ConfigError: names the pattern and the nearest layer.
        """
        for rule in self.layers:
            if not any(fnmatchcase(name, rule.match) for name in names):
                near = difflib.get_close_matches(rule.match, names, n=3, cutoff=0)
                raise ConfigError(
                    f"recipe: layers.match {rule.match!r} matches none of the {len(names)} layers; "
                    f"the nearest names are {', '.join(near)}"
                )

    def check_method(self, method: str) -> None:
        """Refuse a recipe that a quantisation method can't use.

        Raises:
            ConfigError: names both, and what to use instead.
        """
        if method == "qat" and self.activations == "dynamic":
            raise ConfigError(
                "quantize: a dynamic-range recipe has no activation ranges to train with; use "
                '--method ptq (quantize.method = "ptq")'
            )

    def to_dict(self) -> dict[str, Any]:
        """Return plain dicts and lists."""
        plain: dict[str, Any] = to_plain(self)
        return plain


def shipped_recipes() -> tuple[str, ...]:
    """Return the names of the recipes that come with the package."""
    return tuple(sorted(path.stem for path in _SHIPPED.glob("*.toml")))


def load_recipe(name: str) -> Recipe:
    """Read a recipe.

    Args:
        name: of a shipped recipe, or the path of a TOML file; "" for the default recipe.

    Raises:
        ConfigError: no such recipe, an unknown key, or a value that is not allowed.
    """
    if not name:
        return Recipe()
    if is_path(name):
        return _recipe(read_toml(Path(name)), where=name)
    if name not in shipped_recipes():
        raise ConfigError(
            f"quantize.recipe: no recipe {name!r}; {choices_hint(name, shipped_recipes())}, or "
            "give a .toml file"
        )
    return _recipe(read_toml(_SHIPPED / f"{name}.toml"), where=f"recipe {name}")


def recipe_from_dict(tree: dict[str, Any], *, where: str = "recipe") -> Recipe:
    """Build a recipe from plain dicts, as written by `Recipe.to_dict`.

    Raises:
        ConfigError: names the key, what was got and what is allowed.
    """
    return _recipe(tree, where=where)


def _recipe(tree: dict[str, Any], *, where: str) -> Recipe:
    recipe = Reader(where, ConfigError).read(Recipe, tree)
    for number, rule in enumerate(recipe.layers, 1):
        if not rule.match:
            raise ConfigError(
                f"{where}: layers #{number}.match is empty; expected a pattern of layer names"
            )
    if recipe.activations == "dynamic" and (recipe.layers or recipe.weights != "per-channel"):
        raise ConfigError(
            f'{where}: activations = "dynamic" applies to the whole network (the TFLite converter '
            "chooses the layers); remove weights and [[layers]]"
        )
    return recipe

"""Recipes: what is quantised how, by layer name. TOML files; `calibration/recipes/` has some.

A recipe states the rule for the whole network and exceptions for layers whose names match a
pattern. Layer names are those of the deploy graph (`block_3_expand`, `p4_smooth_dw`,
`cls_p3_conv0_pw`); `edge-retina doctor RUN --quantization` lists them.
"""

from __future__ import annotations

import dataclasses
import difflib
import typing
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from edge_retina.config import read_toml
from edge_retina.errors import ConfigError, choices_hint

WEIGHTS = ("per-channel", "per-tensor", "float")
ACTIVATIONS = ("int8", "int16", "float", "dynamic")
_LAYER_ACTIVATIONS = ("float",)  # the others are a matter of the whole network


@dataclass(frozen=True)
class LayerRule:
    """An exception for some layers.

    Attributes:
        match: pattern of layer names, with `*`, `?` and `[...]`.
        weights: one of `WEIGHTS`; "" leaves them as they are.
        activations: "float" to leave the layer's output unquantised; "" otherwise.
    """

    match: str
    weights: str = ""
    activations: str = ""


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
    weights: str = "per-channel"
    activations: str = "int8"
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

    def to_dict(self) -> dict[str, Any]:
        """Return plain dicts and lists."""
        tree = dataclasses.asdict(self)
        return tree | {"layers": list(tree["layers"])}


def load_recipe(path: str) -> Recipe:
    """Read a recipe file; "" gives the default recipe.

    Raises:
        ConfigError: unreadable, an unknown key, or a value that is not allowed.
    """
    return recipe_from_dict(read_toml(Path(path)), where=path) if path else Recipe()


def recipe_from_dict(tree: dict[str, Any], *, where: str = "recipe") -> Recipe:
    """Build a recipe from plain dicts.

    Raises:
        ConfigError: names the key, what was got and what is allowed.
    """
    rules = tree.get("layers", [])
    if not isinstance(rules, (list, tuple)) or not all(isinstance(r, dict) for r in rules):
        raise ConfigError(f"{where}: layers must be tables, each under its own [[layers]]")
    layers = tuple(
        _build(LayerRule, rule, where=f"{where}, layers {number}")
        for number, rule in enumerate(rules, 1)
    )
    rest = {key: value for key, value in tree.items() if key != "layers"}
    recipe: Recipe = dataclasses.replace(_build(Recipe, rest, where=where), layers=layers)
    _check_values(recipe, where)
    return recipe


def _build(cls: type, tree: dict[str, Any], *, where: str) -> Any:
    types_of = typing.get_type_hints(cls)
    for key, value in tree.items():
        if key not in types_of:
            raise ConfigError(f"{where}: unknown key '{key}'; {choices_hint(key, types_of)}")
        if type(value) is not types_of[key]:
            raise ConfigError(f"{where}: {key} must be {types_of[key].__name__}, got {value!r}")
    if cls is LayerRule and not tree.get("match"):
        raise ConfigError(f"{where}: match is missing; expected a pattern of layer names")
    return cls(**tree)


def _check_values(recipe: Recipe, where: str) -> None:
    _check_choice(recipe.weights, WEIGHTS, f"{where}: weights")
    _check_choice(recipe.activations, ACTIVATIONS, f"{where}: activations")
    for number, rule in enumerate(recipe.layers, 1):
        place = f"{where}, layers {number} ({rule.match})"
        _check_choice(rule.weights, ("", *WEIGHTS), f"{place}: weights")
        _check_choice(rule.activations, ("", *_LAYER_ACTIVATIONS), f"{place}: activations")
    if recipe.activations == "dynamic" and (recipe.layers or recipe.weights != "per-channel"):
        raise ConfigError(
            f'{where}: activations "dynamic" is all or nothing: the TFLite converter chooses the '
            "layers, so neither [[layers]] nor weights can be given with it"
        )


def _check_choice(value: str, allowed: Sequence[str], where: str) -> None:
    if value not in allowed:
        names = ", ".join(repr(name) for name in allowed if name)
        raise ConfigError(f"{where} must be one of {names}; got {value!r}")

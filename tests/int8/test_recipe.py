from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edge_retina.errors import ConfigError
from edge_retina.int8 import recipe as recipe_module
from edge_retina.int8.recipe import LayerRule, Recipe, load_recipe, recipe_from_dict

LAYERS = ("Conv1", "p3_smooth_dw", "p3_smooth_pw", "cls_p3_out_dw", "cls_p3_out_pw")


@pytest.mark.parametrize(
    "name, expected",
    [
        ("default", {}),
        ("per_tensor", {"weights": "per-tensor"}),
        ("int16x8", {"activations": "int16"}),
        ("dynamic_range", {"activations": "dynamic"}),
        ("shared_ranges", {"share_levels": True}),
        (
            "per_tensor_depthwise",
            {
                "layers": (
                    LayerRule("*_dw", weights="per-tensor"),
                    LayerRule("*depthwise", weights="per-tensor"),
                )
            },
        ),
        (
            "float_box_tail",
            {"layers": (LayerRule("box_p*_out_*", weights="float", activations="float"),)},
        ),
    ],
)
def test_the_recipes_that_come_with_it(name: str, expected: dict[str, Any]) -> None:
    recipe = load_recipe(name)
    assert recipe == Recipe(description=recipe.description, **expected)
    assert recipe.description


def test_every_shipped_recipe_is_in_the_table_above() -> None:
    parameters = test_the_recipes_that_come_with_it.pytestmark[0].args[1]
    files = (Path(recipe_module.__file__).parent / "recipes").iterdir()
    assert {path.name for path in files} == {f"{name}.toml" for name, _ in parameters}


def test_no_file_is_the_default() -> None:
    assert load_recipe("") == Recipe()


def test_round_trip_through_plain_dicts() -> None:
    recipe = Recipe(activations="int16", layers=(LayerRule("p3_*", weights="per-tensor"),))
    assert recipe_from_dict(recipe.to_dict()) == recipe


@pytest.mark.parametrize(
    "tree, message",
    [
        ({"weight": "float"}, "recipe: unknown key 'weight'; did you mean 'weights'?"),
        ({"share_levels": 1}, "recipe: share_levels must be true or false, got 1"),
        ({"weights": None}, "recipe: weights must be a string, got None"),
        (
            {"weights": "int4"},
            "recipe: weights must be one of per-channel, per-tensor, float; got 'int4'",
        ),
        (
            {"activations": "uint8"},
            "recipe: activations must be one of int8, int16, float, dynamic; got 'uint8'",
        ),
        (
            {"layers": {"match": "a"}},
            "recipe: layers must be a list, got {'match': 'a'}",
        ),
        ({"layers": ["a"]}, "recipe: 'layers #1' must be a section, got 'a'"),
        (
            {"layers": [{"match": "a"}, {"weights": "float"}]},
            "recipe: 'layers #2.match' is missing",
        ),
        (
            {"layers": [{"match": ""}]},
            "recipe: layers #1.match is empty; expected a pattern of layer names",
        ),
        (
            {"layers": [{"match": "a", "bits": 4}]},
            "recipe: unknown key 'layers #1.bits'; allowed: activations, match, weights",
        ),
        (
            {"layers": [{"match": ["a"]}]},
            "recipe: layers #1.match must be a string, got ['a']",
        ),
        (
            {"layers": [{"match": "a", "weights": "int4"}]},
            "recipe: layers #1.weights must be one of per-channel, per-tensor, float; got 'int4'",
        ),
        (
            # a network half in int16 is no choice of a layer
            {"layers": [{"match": "a", "activations": "int16"}]},
            "recipe: layers #1.activations must be one of float; got 'int16'",
        ),
    ],
)
def test_what_is_refused(tree: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        recipe_from_dict(tree)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    "tree", [{"layers": [{"match": "p3_*", "weights": "float"}]}, {"weights": "per-tensor"}]
)
def test_dynamic_is_all_or_nothing(tree: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="applies to the whole network"):
        recipe_from_dict({"activations": "dynamic", **tree})


def test_errors_name_the_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('weights = "int4"\n')
    with pytest.raises(ConfigError) as caught:
        load_recipe(str(path))
    assert str(caught.value).startswith(f"{path}: weights must be one of ")
    path.write_text("weights = \n")
    with pytest.raises(ConfigError, match=r"mine\.toml"):
        load_recipe(str(path))
    with pytest.raises(ConfigError, match=r"none\.toml"):
        load_recipe(str(tmp_path / "none.toml"))


def test_of_several_rules_the_last_one_counts() -> None:
    recipe = recipe_from_dict(
        {
            "layers": [
                {"match": "*_dw", "weights": "per-tensor"},
                {"match": "p3_*", "activations": "float"},  # says nothing of weights
                {"match": "cls_*", "weights": "float"},
                {"match": "cls_p3_out_dw", "weights": "per-channel"},
            ]
        }
    )
    assert [recipe.weights_of(name) for name in LAYERS] == [
        "per-channel",
        "per-tensor",
        "per-channel",
        "per-channel",
        "float",
    ]
    assert [recipe.activations_of(name) for name in LAYERS] == [
        "int8",
        "float",
        "float",
        "int8",
        "int8",
    ]


def test_a_pattern_is_matched_with_its_case_and_as_a_whole() -> None:
    recipe = Recipe(layers=(LayerRule("conv1", weights="float"), LayerRule("smooth", "float")))
    assert recipe.weights_of("Conv1") == "per-channel"
    assert recipe.weights_of("p3_smooth_dw") == "per-channel"


def test_a_pattern_without_a_layer_names_the_nearest() -> None:
    recipe = Recipe(layers=(LayerRule("*"), LayerRule("p3_smoth_dw", weights="float")))
    with pytest.raises(ConfigError) as caught:
        recipe.check_layers(LAYERS)
    assert str(caught.value) == (
        "recipe: layers.match 'p3_smoth_dw' matches none of the 5 layers; the nearest names are "
        "p3_smooth_dw, p3_smooth_pw, cls_p3_out_dw"
    )
    Recipe(layers=(LayerRule("p3_smooth_??"), LayerRule("[Cc]onv1"))).check_layers(LAYERS)

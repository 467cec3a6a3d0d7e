"""Rules of targets, each on a graph of a few tensors that keeps it or breaks it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_retina.boxes.anchors import AnchorGrid
from edge_retina.errors import ConfigError, ExportError
from edge_retina.export.plan import plan_files
from edge_retina.export.raw_layouts import read_layout
from edge_retina.export.targets import rules
from edge_retina.export.targets.check import broken_rules, check_file, check_recipe
from edge_retina.export.targets.table import TARGETS
from edge_retina.export.targets.target import LEVELS, NMS, Rule, Target
from edge_retina.int8.recipe import Recipe, load_recipe, recipe_from_dict, shipped_recipes
from edge_retina.runtime.graph import Graph, OperatorInfo, TensorInfo
from edge_retina.runtime.raw_layout import FLAT, RawTensor
from tests.runtime.foreign_model import ForeignModel

SOURCE = "https://example.org/rules"


def tensor(*shape: int, dtype: str = "int8", name: str = "x", **changes: Any) -> TensorInfo:
    fields = {
        "scales": (0.5,),
        "zero_points": (0,),
        "axis": 0,
        "is_constant": False,
        "is_static": True,
    }
    return TensorInfo(name, shape, dtype, **{**fields, **changes})


def graph(*tensors: TensorInfo, name: str = "ADD", is_custom: bool = False) -> Graph:
    """Return a graph of one operator, from all tensors but the last to that."""
    last = len(tensors) - 1
    operator = OperatorInfo(name, is_custom, tuple(range(last)), (last,), 0)
    return Graph(tensors, (operator,), (0,), (last,), 1, ())


def reason(rule: Rule, of: Graph) -> str:
    return rule.broken_by(of, of.operators[-1])


FINE = tensor(1, 8, 8, 16)
WEIGHTS = tensor(16, 3, 3, 8, is_constant=True)


@pytest.mark.parametrize(
    "rule, kept, broken, said",
    [
        (
            rules.allowed_operators("ADD MUL", SOURCE),
            graph(FINE, FINE),
            graph(FINE, FINE, name="TOPK_V2"),
            "there is no such operator",
        ),
        (
            rules.allowed_operators("ADD", SOURCE),
            graph(FINE, FINE),
            graph(FINE, FINE, is_custom=True),  # one of that name
            "there is no such operator",
        ),
        (
            rules.activation_types(("int8", "uint8"), SOURCE),
            graph(tensor(1, 2, dtype="uint8"), FINE),
            graph(FINE, tensor(1, 2, dtype="float32", name="y")),
            "'y' is float32",
        ),
        (
            rules.activation_types(("int8",), SOURCE),
            graph(FINE, tensor(4, dtype="int32", is_constant=True), FINE),
            graph(tensor(1, 2, dtype="int16"), FINE),
            "'x' is int16",
        ),
        (
            rules.most_dimensions(4, SOURCE),
            graph(FINE, FINE),
            graph(FINE, tensor(1, 1, 8, 8, 16)),
            "'x' has 5",
        ),
        (
            rules.most_wide_dimensions(3, SOURCE),
            graph(FINE, tensor(8, 8, 16)),
            graph(FINE, tensor(2, 8, 8, 16)),
            "'x' is [2,8,8,16]",
        ),
        (
            rules.one_image(SOURCE),
            graph(FINE, tensor(128, 16)),  # no batch there
            graph(tensor(2, 8, 8, 16), FINE),
            "'x' has 2",
        ),
        (
            rules.static_shapes(SOURCE),
            graph(FINE, FINE),
            graph(FINE, tensor(1, 8, is_static=False)),
            "'x' has a side that is left open",
        ),
        (
            rules.longest_side(65535, SOURCE),
            graph(FINE, tensor(1, 65535)),
            graph(FINE, tensor(1, 65536)),
            "'x' is [1,65536]",
        ),
        (
            rules.kernel_sizes(height=4, area=12, source=SOURCE),
            graph(FINE, WEIGHTS, FINE, name="CONV_2D"),
            graph(FINE, tensor(16, 4, 4, 8, is_constant=True), FINE, name="CONV_2D"),
            "its kernel is 4x4",
        ),
        (
            rules.scales_of_channels("CONV_2D", SOURCE),
            graph(FINE, tensor(16, 3, 3, 8, scales=(0.1, 0.2)), FINE, name="CONV_2D"),
            graph(FINE, tensor(16, 8, scales=(0.1, 0.2, 0.3)), FINE, name="FULLY_CONNECTED"),
            "it has 3 scales",
        ),
    ],
)
def test_a_rule(rule: Rule, kept: Graph, broken: Graph, said: str) -> None:
    assert reason(rule, kept) == ""
    assert reason(rule, broken) == said


def test_what_is_computed_of_constants_is_no_activation() -> None:
    """float16 weights come with a DEQUANTIZE, which is carried out once."""
    stored = tensor(16, 3, 3, 8, dtype="float16", is_constant=True)
    weights = tensor(16, 3, 3, 8, dtype="float32", name="weights")
    image = tensor(1, 8, 8, 8, dtype="float32")
    whole = Graph(
        (stored, weights, image, image),
        (
            OperatorInfo("DEQUANTIZE", False, (0,), (1,), 0),
            OperatorInfo("CONV_2D", False, (2, 1), (3,), 0),
        ),
        (2,),
        (3,),
        1,
        (),
    )
    assert broken_rules(whole, TARGETS["gpu"]) == []
    unfolded = Graph(whole.tensors, whole.operators[1:], (2, 1), (3,), 1, ())
    assert [text for _, _, text in broken_rules(unfolded, TARGETS["gpu"])] == ["'weights' has 16"]


@pytest.mark.parametrize("name", [name for name in TARGETS if name != "cpu"])
def test_every_target_refuses_the_operators_of_the_nms(name: str) -> None:
    for operator in ("TOPK_V2", "NON_MAX_SUPPRESSION_V4"):
        broken = broken_rules(graph(FINE, FINE, name=operator), TARGETS[name])
        assert "there is no such operator" in {text for _, _, text in broken}


@pytest.mark.parametrize("name", TARGETS)
def test_every_rule_has_a_source(name: str) -> None:
    target = TARGETS[name]
    assert bool(target.rules) == (target.form != NMS)
    for rule in target.rules:
        assert rule.source.startswith("https://")
        assert rule.says


def test_a_file_that_breaks_a_rule_is_refused_with_operator_tensor_and_rule(
    tmp_path: Path,
) -> None:
    model = ForeignModel()
    values = model.tensor("values", (1, 4), dtype=np.int8, scales=(0.5,))
    best = model.tensor("best", (1, 2), dtype=np.int8, scales=(0.5,))
    model.operator("TOPK_V2", [values], [best])
    path = tmp_path / "tiny_npu_int8.tflite"
    path.write_bytes(model.content([values], [best]))
    target = Target("npu", "", rules=(rules.allowed_operators("ADD", SOURCE),))
    with pytest.raises(ExportError) as caught:
        check_file(path, target)
    assert str(caught.value) == (
        "tiny_npu_int8.tflite: target npu can't run operator 0, TOPK_V2 to 'best' [1,2] int8: "
        f"there is no such operator; it takes only the operators of its list ({SOURCE}); export "
        "without this target, and please report it with the config"
    )
    check_file(path, TARGETS["cpu"])  # which has no rules


WHAT_IS_LEFT = {
    "dynamic_range": 'activations = "dynamic"',
    "int16x8": 'activations = "int16"',
    "float_box_tail": "activations = \"float\" for the layers 'box_p*_out_*'",
}


@pytest.mark.parametrize("recipe", shipped_recipes())
def test_which_of_the_shipped_recipes_a_target_can_serve(recipe: str) -> None:
    check_recipe(TARGETS["cpu"], load_recipe(recipe))
    check_recipe(TARGETS["gpu"], load_recipe(recipe))  # it is float
    for name in ("npu", "edgetpu", "ethos-u", "micro"):
        if recipe not in WHAT_IS_LEFT:
            check_recipe(TARGETS[name], load_recipe(recipe))
            continue
        with pytest.raises(ConfigError) as caught:
            check_recipe(TARGETS[name], load_recipe(recipe))
        assert str(caught.value) == (
            f"target {name} takes int8 from end to end, but the recipe of the int8 model has "
            f"{WHAT_IS_LEFT[recipe]}; quantise again with the default recipe, or leave the target "
            "out"
        )


@pytest.mark.parametrize(
    "rules_of_it, said",
    [
        ({"weights": "float"}, 'has weights = "float";'),
        (
            {"layers": [{"match": "cls_*", "weights": "float"}]},
            "has weights = \"float\" for the layers 'cls_*';",
        ),
    ],
)
def test_float_weights_are_refused(rules_of_it: dict[str, Any], said: str) -> None:
    recipe = recipe_from_dict({**Recipe().to_dict(), **rules_of_it})
    with pytest.raises(ConfigError, match="target npu takes int8") as caught:
        check_recipe(TARGETS["npu"], recipe)
    assert said in str(caught.value)


def test_the_files_of_a_plan() -> None:
    planned = plan_files(
        "x", targets=("cpu", "gpu", "npu"), precisions=("float32", "int8"), nms=True
    )
    assert [(file.name, file.form, file.input_dtype, file.model) for file in planned] == [
        ("x_float32.tflite", NMS, "float32", ("float32", "concatenation")),
        ("x_int8.tflite", NMS, "uint8", ("int8", "concatenation")),
        ("x_gpu_float16.tflite", LEVELS, "float32", ("float16", "resize")),
        ("x_npu_int8.tflite", LEVELS, "int8", ("int8", "concatenation")),
    ]
    (raw,) = plan_files("x", targets=("cpu",), precisions=("int8",), nms=False)
    assert (raw.name, raw.form, raw.target.name) == ("x_raw_int8.tflite", FLAT, "cpu")
    assert raw.for_dynamic_range().input_dtype == "float32"


GRID = AnchorGrid((2, 8), 1, (((1.0, 1.0), (2.0, 1.0)), ((4.0, 4.0), (4.0, 2.0))))


def levels_file(path: Path, *, classes: int = 3) -> Path:
    """Write a file with the heads of two levels, 1x4 and 1x2 cells of two anchors."""
    model = ForeignModel()
    image = model.tensor("image", (1, 2, 8, 3), dtype=np.int8, scales=(1 / 128,))
    outputs = []
    for index, numbers in enumerate((classes, classes, 4, 4)):
        shape = (1, 1, 4 >> index % 2, 2 * numbers)
        scale = 0.5**index
        outputs.append(
            model.tensor(f"t{index}", shape, dtype=np.int8, scales=(scale,), zero_point=index)
        )
        model.operator("RESHAPE", [image], [outputs[-1]])
    path.write_bytes(model.content([image], outputs))
    return path


def test_the_layout_of_a_file_with_heads_by_level(tmp_path: Path) -> None:
    path = levels_file(tmp_path / "x.tflite")
    layout = read_layout(path, target="npu", form=LEVELS, grid=GRID, num_classes=3)
    assert (layout.target, layout.form) == ("npu", LEVELS)
    assert layout.input == RawTensor("image", 0, (1, 2, 8, 3), "int8", 1 / 128, 0)
    assert layout.outputs == (
        RawTensor("cls_p1", 0, (1, 1, 4, 6), "int8", 1.0, 0, "logits", 1),
        RawTensor("cls_p2", 1, (1, 1, 2, 6), "int8", 0.5, 1, "logits", 2),
        RawTensor("box_p1", 2, (1, 1, 4, 8), "int8", 0.25, 2, "codes", 1),
        RawTensor("box_p2", 3, (1, 1, 2, 8), "int8", 0.125, 3, "codes", 2),
    )


def test_a_file_of_other_outputs_has_no_layout(tmp_path: Path) -> None:
    path = levels_file(tmp_path / "x.tflite", classes=4)
    with pytest.raises(ExportError) as caught:
        read_layout(path, target="npu", form=LEVELS, grid=GRID, num_classes=3)
    assert str(caught.value) == (
        "x.tflite: its outputs are [1,1,4,8] [1,1,2,8] [1,1,4,8] [1,1,2,8], expected [1,1,4,6] "
        "[1,1,2,6] [1,1,4,8] [1,1,2,8]; this is a bug, please report it with the config"
    )

"""Starting from a trained detector: what is taken, what is not, and what is said about it."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_retina.backbones.table import BACKBONES
from edge_retina.boxes.anchors import AnchorGrid
from edge_retina.config import ModelConfig
from edge_retina.errors import ModelError
from edge_retina.run_directory import RunDirectory
from edge_retina.training.init_source import InitSource, find_source
from tests.training.tiny_backbone import NAME, use_tiny_backbone

pytestmark = [pytest.mark.tf, pytest.mark.slow]

SIZES = ModelConfig(
    pretrained="none", image_hw=(64, 64), max_level=5, fpn_channels=16, head_depth=1
)
CLASSES = ("bus", "car", "truck")


@pytest.fixture(autouse=True)
def _tiny_backbone(monkeypatch: pytest.MonkeyPatch) -> None:
    use_tiny_backbone(monkeypatch)


@pytest.fixture(scope="module")
def trained() -> Any:
    """A detector to start from."""
    with pytest.MonkeyPatch.context() as patch:
        use_tiny_backbone(patch)
        return randomise(build())


def build(classes: tuple[str, ...] = CLASSES, *, per_cell: int = 2, **sizes: Any) -> Any:
    """A network with random weights, BatchNorm statistics included."""
    from edge_retina.model.retinanet import build_retinanet

    model = dataclasses.replace(SIZES, **sizes)
    shapes = tuple(((2.0**level, 2.0**level),) * per_cell for level in model.levels)
    grid = AnchorGrid(model.image_hw, model.min_level, shapes)
    return build_retinanet(model, num_classes=len(classes), anchors=grid)


def randomise(model: Any) -> Any:
    rng = np.random.default_rng(0)
    for layer in model.layers:
        layer.set_weights([rng.uniform(0.5, 1.5, w.shape) for w in layer.get_weights()])
    return model


def saved(model: Any, path: Path, labels: tuple[str, ...] | None = CLASSES) -> InitSource:
    model.save_weights(path / "best.h5")
    if labels is not None:
        RunDirectory(path).save_labels(labels)
    return find_source(path / "best.h5")


def start(model: Any, source: InitSource, classes: tuple[str, ...] = CLASSES, **sizes: Any) -> Any:
    from edge_retina.training.warm_start import warm_start

    settings = dataclasses.replace(SIZES, **sizes)
    return warm_start(model, source, labels=classes, settings=settings)


def same_layers(one: Any, other: Any) -> set[str]:
    """Names of layers with the same weights in both."""
    others = {layer.name: layer.get_weights() for layer in other.layers}
    return {
        layer.name
        for layer in one.layers
        if layer.weights
        and layer.name in others
        and all(map(np.array_equal, layer.get_weights(), others[layer.name]))
    }


def with_weights(model: Any) -> set[str]:
    return {layer.name for layer in model.layers if layer.weights}


def test_of_the_same_network_everything_is_taken(trained: Any, tmp_path: Path) -> None:
    model = build()
    found = start(model, saved(trained, tmp_path))
    for value, expected in zip(model.get_weights(), trained.get_weights(), strict=True):
        np.testing.assert_array_equal(value, expected)
    count = len(model.get_weights())
    assert found.lines() == [
        f"{count} of {count} variables from {tmp_path}/best.h5",
        "classes: 3 of 3 taken (bus, car, truck)",
    ]
    assert found.to_dict() == {
        "source": f"{tmp_path}/best.h5",
        "sha256": found.sha256,
        "variables": {"taken": count, "all": count},
        "classes": {"taken": ["bus", "car", "truck"], "new": [], "reason": ""},
        "new_layers": {},
        "unused_layers": [],
    }


def test_classes_are_known_by_name(trained: Any, tmp_path: Path) -> None:
    """At each of the two anchors of a cell; a new class finds nothing at first."""
    own = ("tram", "truck", "bus")
    model = build(own)
    found = start(model, saved(trained, tmp_path), own)
    image = np.random.default_rng(1).normal(size=(1, 64, 64, 3)).astype(np.float32)
    (logits, deltas), (expected, boxes) = model(image), trained(image)
    np.testing.assert_array_equal(deltas, boxes)
    np.testing.assert_array_equal(logits[..., 1], expected[..., 2])
    np.testing.assert_array_equal(logits[..., 2], expected[..., 0])
    assert np.ptp(expected) > 1
    kernel, bias = model.get_layer("cls_out_pw").get_weights()
    new = kernel.reshape(16, 2, 3)[..., 0]
    assert 0.005 < new.std() < 0.02
    np.testing.assert_allclose(bias.reshape(2, 3)[:, 0], -np.log(99), rtol=1e-6)
    assert found.lines()[1] == "classes: 2 of 3 taken (truck, bus); new: tram"
    assert found.taken == found.total - 2


def test_no_common_class(trained: Any, tmp_path: Path) -> None:
    model = build(("cat",))
    found = start(model, saved(trained, tmp_path), ("cat",))
    assert found.lines()[1:] == ["classes: all 1 are new (none of them is in it)"]
    assert found.taken == found.total - 2


def test_unknown_class_names(trained: Any, tmp_path: Path) -> None:
    model = build()
    found = start(model, saved(trained, tmp_path, None))
    assert with_weights(model) - same_layers(model, trained) == {"cls_out_pw"}
    assert found.lines()[1] == (
        "classes: all 3 are new (its class names are unknown; put its labels.txt beside it)"
    )


def test_another_number_of_anchors(tmp_path: Path) -> None:
    trained, model = randomise(build(per_cell=4)), build()
    found = start(model, saved(trained, tmp_path))
    assert with_weights(model) - same_layers(model, trained) == {"cls_out_pw", "box_out_pw"}
    assert found.lines()[1:] == [
        "classes: all 3 are new (4 anchors per cell in it, 2 here)",
        "newly initialised: box_out_pw (4 anchors per cell in it, 2 here)",
    ]
    assert found.new_layers == {"4 anchors per cell in it, 2 here": ("box_out_pw",)}


def test_more_levels_than_the_detector_has(trained: Any, tmp_path: Path) -> None:
    model = build(max_level=6)
    found = start(model, saved(trained, tmp_path), max_level=6)
    new = {"p6_down_dw", "p6_down_pw", "p6_down_bn", "cls_p6_conv0_bn", "box_p6_conv0_bn"}
    assert with_weights(model) - same_layers(model, trained) == new
    assert found.lines()[2:] == [
        "newly initialised: 3 of the pyramid, 1 of the class head, 1 of the box head "
        "(its levels are 3, 4, 5)"
    ]


def test_fewer_levels_than_the_detector_has(trained: Any, tmp_path: Path) -> None:
    model = build(min_level=4)
    found = start(model, saved(trained, tmp_path), min_level=4)
    assert with_weights(model) <= same_layers(model, trained)
    assert found.taken == found.total
    left_out = with_weights(trained) - with_weights(model)
    assert set(found.unused_layers) == left_out
    assert "p3_lateral" in left_out
    assert found.lines()[2:] == [
        "left out: 5 of the pyramid, 1 of the class head, 1 of the box head"
    ]


def test_a_deeper_head_has_new_last_layers(trained: Any, tmp_path: Path) -> None:
    """They would get features that they have never seen."""
    model = build(head_depth=2)
    found = start(model, saved(trained, tmp_path), head_depth=2)
    same = same_layers(model, trained)
    assert {"cls_conv0_dw", "box_conv0_pw", "cls_p3_conv0_bn"} <= same
    assert not any("_out_" in name for name in same)
    assert found.no_classes == "model.head_depth is 1 in it, 2 here"
    assert set(found.new_layers) == {"model.head_depth is 1 in it, 2 here", "not in it"}


def test_another_width_of_the_pyramid_leaves_the_backbone(trained: Any, tmp_path: Path) -> None:
    model = build(fpn_channels=24)
    found = start(model, saved(trained, tmp_path), fpn_channels=24)
    same = same_layers(model, trained)
    assert same == {name for name in with_weights(model) if name.startswith("block_")}
    assert set(found.new_layers) == {"model.fpn_channels is 16 in it, 24 here"}
    assert found.no_classes == "model.fpn_channels is 16 in it, 24 here"


def test_another_backbone_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from edge_retina.model.keras import keras

    tiny = dataclasses.replace(BACKBONES[NAME], widths=(0.35,))
    monkeypatch.setitem(BACKBONES, NAME, tiny)
    for name in set(BACKBONES) - {NAME}:
        monkeypatch.delitem(BACKBONES, name)
    monkeypatch.setitem(
        BACKBONES, "half", dataclasses.replace(tiny, keras_name="Half", widths=(0.5,))
    )

    def half(*, alpha: float, input_tensor: Any, **_: Any) -> Any:
        """As tiny as the other, but for the kernel of one layer."""
        x = input_tensor
        for stage in range(1, 6):
            conv = keras.layers.Conv2D(
                8, 1, strides=2, padding="same", use_bias=False, name=f"block_{stage}_conv"
            )
            x = keras.layers.BatchNormalization(name=f"block_{stage}_BN")(conv(x))
            x = keras.layers.ReLU(6.0, name=f"block_{stage}_relu")(x)
        return keras.Model(input_tensor, x)

    monkeypatch.setattr(keras.applications, "Half", half, raising=False)
    source = saved(build(backbone="half"), tmp_path)
    model = build()
    before = model.get_weights()
    with pytest.raises(ModelError) as caught:
        start(model, source)
    assert str(caught.value) == (
        f"{tmp_path}/best.h5: its backbone is half of width 0.5, the config wants mobilenet_v2 of "
        "width 0.35; change model.backbone and model.backbone_width, or start from another detector"
    )
    for value, expected in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(value, expected)
    monkeypatch.delitem(BACKBONES, "half")
    with pytest.raises(ModelError, match="its backbone is none that this version has, the config"):
        start(model, source)


def test_class_names_of_another_detector(trained: Any, tmp_path: Path) -> None:
    source = saved(trained, tmp_path, CLASSES[:2])
    with pytest.raises(ModelError) as caught:
        start(trained, source)
    assert str(caught.value) == (
        f"{tmp_path}/best.h5: its labels.txt has 2 classes, but the weights have 6 class outputs "
        "for 2 anchors per cell; restore labels.txt"
    )

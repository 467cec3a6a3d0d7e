"""Every backbone of the table: its taps, its layers' names, its weights from a file."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_retina.backbones.table import BACKBONES
from edge_retina.errors import ModelError

pytestmark = pytest.mark.tf

IMAGE_HW = (64, 96)


def keras_network(backbone: str, width: float) -> Any:
    """The network as Keras builds it, with its own layer names."""
    from edge_retina.model.keras import keras

    entry = BACKBONES[backbone]
    build = getattr(keras.applications, entry.keras_name)
    return build(
        input_shape=(*IMAGE_HW, 3), alpha=width, include_top=False, weights=None, **entry.options
    )


def narrowest(backbone: str) -> float:
    return min(BACKBONES[backbone].widths)


def network_of(backbone: str, width: float) -> Any:
    from edge_retina.model.backbone import build_backbone
    from edge_retina.model.keras import keras

    image = keras.Input((*IMAGE_HW, 3))
    features = build_backbone(image, backbone=backbone, width=width)
    # a head behind it: weights must be found by name, not by position
    extra = keras.layers.Conv2D(2, 1, name="extra")(features[5])
    return keras.Model(image, [features[3], features[4], features[5], extra])


@pytest.fixture(scope="module", params=list(BACKBONES))
def backbone(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def network(backbone: str) -> Any:
    return network_of(backbone, narrowest(backbone))


def images(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1, 1, (2, *IMAGE_HW, 3)).astype(np.float32)


def test_taps_are_at_strides_8_16_32_behind_a_relu(network: Any) -> None:
    features = [array.numpy() for array in network(images(0))[:3]]
    assert [array.shape[1:3] for array in features] == [(8, 12), (4, 6), (2, 3)]
    for array in features:
        assert array.min() == 0
        assert array.max() > 0


def test_weights_of_a_file_go_to_their_layers(
    backbone: str, network: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    from edge_retina.model.backbone import load_pretrained

    width = narrowest(backbone)
    source = keras_network(backbone, width)
    rng = np.random.default_rng(0)
    source.set_weights([rng.uniform(0.1, 0.3, size=w.shape) for w in source.get_weights()])
    path = tmp_path / "weights.h5"
    source.save_weights(path)
    extra = network.get_layer("extra").get_weights()
    with caplog.at_level(logging.INFO):
        load_pretrained(network, backbone=backbone, pretrained=str(path), width=width)
    batch = images(1)
    np.testing.assert_allclose(network(batch)[2], source(batch), rtol=1e-5)
    for found, want in zip(network.get_layer("extra").get_weights(), extra, strict=True):
        np.testing.assert_array_equal(found, want)
    (message,) = caplog.messages
    assert message == (
        f"backbone: {BACKBONES[backbone].keras_name} of width {width}, weights: {path}"
    )


def test_a_pyramid_without_level_5_takes_the_weights_that_it_has_layers_for(
    backbone: str, tmp_path: Path
) -> None:
    from edge_retina.boxes.anchors import AnchorGrid
    from edge_retina.config import ModelConfig
    from edge_retina.model.backbone import freeze_stages, load_pretrained
    from edge_retina.model.retinanet import build_retinanet

    width = narrowest(backbone)
    settings = ModelConfig(
        backbone=backbone, backbone_width=width, image_hw=IMAGE_HW, max_level=4, head_depth=1
    )
    grid = AnchorGrid(IMAGE_HW, 3, (((8.0, 8.0),),) * 2)
    model = build_retinanet(settings, num_classes=2, anchors=grid)
    source = keras_network(backbone, width)
    source.set_weights([np.full(w.shape, 0.2) for w in source.get_weights()])
    source.save_weights(tmp_path / "weights.h5")
    load_pretrained(model, backbone=backbone, pretrained=str(tmp_path / "weights.h5"), width=width)
    tap = model.get_layer(BACKBONES[backbone].taps[4])
    below = [layer for layer in _layers_up_to(model, tap) if layer.weights]
    assert below
    for layer in below:
        for value in layer.get_weights():
            np.testing.assert_array_equal(value, np.full(value.shape, 0.2, np.float32))
    freeze_stages(model, backbone=backbone, stages=5)  # there are four
    assert not any(layer.trainable_weights for layer in below)
    assert model.trainable_variables


def _layers_up_to(model: Any, end: Any) -> list[Any]:
    from edge_retina.model.keras import keras

    return list(keras.Model(model.input, end.output).layers)


def test_layers_of_the_backbone_are_told_from_the_rest(backbone: str) -> None:
    from edge_retina.boxes.anchors import AnchorGrid
    from edge_retina.config import ModelConfig
    from edge_retina.model.backbone import is_backbone_layer
    from edge_retina.model.retinanet import build_retinanet

    width = narrowest(backbone)
    settings = ModelConfig(
        backbone=backbone, backbone_width=width, image_hw=IMAGE_HW, max_level=6, head_depth=1
    )
    grid = AnchorGrid(IMAGE_HW, 3, (((8.0, 8.0),),) * 4)
    names = [layer.name for layer in build_retinanet(settings, num_classes=2, anchors=grid).layers]
    inside = {name for name in names if is_backbone_layer(name, backbone)}
    outside = set(names) - inside
    assert len(inside) == len(keras_network(backbone, width).layers) - 1  # all but the input
    assert {"image", "p5_lateral", "p6_down_dw", "cls_p3_conv0_bn", "box_out_pw"} <= outside
    assert all(name.split("_")[0] in ("image", "cls", "box") or name[0] == "p" for name in outside)


def test_names_of_layers_are_the_same_whenever_the_network_is_built(
    backbone: str, network: Any
) -> None:
    """Saved ranges and recipes are keyed by them; Keras numbers what has no name."""
    again = network_of(backbone, narrowest(backbone))
    names = [layer.name for layer in again.layers[1:]]  # without the input
    assert names == [layer.name for layer in network.layers[1:]]
    assert not [name for name in names if "/" in name]


@pytest.fixture(scope="module")
def mobilenet_v2() -> Any:
    return network_of("mobilenet_v2", 0.35)


def load(network: Any, pretrained: Path | str) -> None:
    from edge_retina.model.backbone import load_pretrained

    load_pretrained(network, backbone="mobilenet_v2", pretrained=str(pretrained), width=0.35)


def test_none_leaves_the_start_values(mobilenet_v2: Any) -> None:
    before = mobilenet_v2.get_weights()
    load(mobilenet_v2, "none")
    for found, want in zip(mobilenet_v2.get_weights(), before, strict=True):
        np.testing.assert_array_equal(found, want)


def test_a_failed_download_is_a_warning_that_names_the_network(
    mobilenet_v2: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from edge_retina.model.keras import keras

    shapes = []

    def fail(**options: Any) -> None:
        shapes.append(options["input_shape"])
        raise Exception("URL fetch failure on https://example.com/w.h5: None -- no route\nmore")

    monkeypatch.setattr(keras.applications, "MobileNetV2", fail)
    before = mobilenet_v2.get_weights()
    load(mobilenet_v2, "imagenet")
    (message,) = caplog.messages
    assert message.startswith(
        "model.pretrained: could not download the ImageNet weights of MobileNetV2 of width 0.35 "
        "(URL fetch failure on https://example.com/w.h5: None -- no route). Training starts from"
    )
    assert shapes[-1] == (224, 224, 3)  # of the published weights: Keras warns of any other
    for found, want in zip(mobilenet_v2.get_weights(), before, strict=True):
        np.testing.assert_array_equal(found, want)


def test_any_other_failure_of_keras_is_not_swallowed(
    mobilenet_v2: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edge_retina.model.keras import keras

    def fail(**_: Any) -> None:
        raise ValueError("alpha can be one of 1.0")

    monkeypatch.setattr(keras.applications, "MobileNetV2", fail)
    with pytest.raises(ValueError, match="alpha can be"):
        load(mobilenet_v2, "imagenet")


def test_a_missing_file_is_named(mobilenet_v2: Any, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"model\.pretrained: .*nowhere\.h5 not found; give"):
        load(mobilenet_v2, tmp_path / "nowhere.h5")


def test_a_file_of_another_width_is_refused(mobilenet_v2: Any, tmp_path: Path) -> None:
    path = tmp_path / "half.h5"
    keras_network("mobilenet_v2", 0.5).save_weights(path)
    with pytest.raises(ModelError, match=r"half\.h5 does not fit MobileNetV2 of width 0\.35"):
        load(mobilenet_v2, path)


def test_a_file_that_is_no_weights_is_refused(mobilenet_v2: Any, tmp_path: Path) -> None:
    path = tmp_path / "broken.h5"
    path.write_bytes(b"no HDF5")
    with pytest.raises(ModelError, match=r"broken\.h5 does not fit"):
        load(mobilenet_v2, path)


@pytest.mark.parametrize("stages", range(6))
def test_frozen_stages_are_the_layers_up_to_a_stride(
    backbone: str, network: Any, stages: int
) -> None:
    from edge_retina.model.backbone import freeze_stages, is_backbone_layer

    for layer in network.layers:
        layer.trainable = True
    freeze_stages(network, backbone=backbone, stages=stages)
    with_weights = [layer for layer in network.layers if layer.weights]
    frozen = {layer.name for layer in with_weights if not layer.trainable}
    strides = {layer.name: IMAGE_HW[0] / layer.output_shape[1] for layer in with_weights}
    assert frozen == {
        name
        for name, stride in strides.items()
        if stages and stride <= 2**stages and is_backbone_layer(name, backbone)
    }
    assert bool(frozen) == bool(stages)


def test_variables_of_the_backbone(backbone: str) -> None:
    from edge_retina.model.backbone import backbone_variables, freeze_stages

    network = network_of(backbone, narrowest(backbone))
    extra = {v.ref() for v in network.get_layer("extra").trainable_variables}
    everything = {v.ref() for v in network.trainable_variables}
    assert {v.ref() for v in backbone_variables(network, backbone)} == everything - extra
    freeze_stages(network, backbone=backbone, stages=5)
    assert backbone_variables(network, backbone) == []

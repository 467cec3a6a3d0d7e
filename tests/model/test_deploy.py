from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from edge_retina.backbones.table import BACKBONES
from edge_retina.errors import ExportError
from edge_retina.wirings.table import WIRINGS

pytestmark = pytest.mark.tf

NETWORKS = [
    *({"backbone": name} for name in BACKBONES),
    *({"wiring": name} for name in WIRINGS if name != "own"),
]
NAMES = [next(iter(network.values())) for network in NETWORKS]


def images(count: int, *image_hw: int) -> np.ndarray:
    return np.random.default_rng(1).uniform(-1, 1, (count, *image_hw, 3)).astype(np.float32)


@pytest.mark.parametrize("network", NETWORKS, ids=NAMES)
@pytest.mark.parametrize(
    "image_hw, max_level, head_depth", [((64, 64), 5, 0), ((192, 320), 7, 2), ((96, 64), 3, 1)]
)
def test_equal_to_the_float_model(
    make_retinanet: Callable[..., Any],
    network: dict[str, str],
    image_hw: tuple[int, int],
    max_level: int,
    head_depth: int,
):
    from edge_retina.model.deploy import build_deploy_graph, join_levels

    model, grid = make_retinanet(
        **network, image_hw=image_hw, max_level=max_level, head_depth=head_depth
    )
    deploy = build_deploy_graph(model)
    batch = images(3, *image_hw)
    outputs = deploy(batch)
    assert [output.shape[1] for output in outputs] == list(grid.level_counts()) * 2
    for expected, found in zip(model(batch), join_levels(deploy)(batch), strict=True):
        expected, found = expected.numpy(), found.numpy()
        assert expected.std(axis=0).mean() > 0.1  # else the pictures would not matter
        np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())


@pytest.fixture(scope="module")
def deploy(make_retinanet: Callable[..., Any]) -> Any:
    from edge_retina.model.deploy import build_deploy_graph

    return build_deploy_graph(make_retinanet(head_depth=1)[0])


@pytest.mark.parametrize("network", NETWORKS, ids=NAMES)
def test_only_layers_that_int8_knows_are_left(
    make_retinanet: Callable[..., Any], network: dict[str, str]
):
    from edge_retina.model.deploy import build_deploy_graph

    deploy = build_deploy_graph(make_retinanet(**network)[0])
    kinds = {type(layer).__name__ for layer in deploy.layers}
    assert kinds == {
        "InputLayer",
        "Conv2D",
        "DepthwiseConv2D",
        "ReLU",
        "Add",
        "Concatenate",
        "Reshape",
    }


def test_layer_names_are_api(deploy: Any):
    names = {layer.name for layer in deploy.layers}
    expected = {
        f"{head}_p{level}_{part}"
        for head in ("cls", "box")
        for level in (3, 4, 5)
        for part in ("conv0_dw", "conv0_pw", "conv0_relu", "out_dw", "out_pw", "reshape")
    }
    assert expected <= names
    assert {"Conv1", "p3_lateral", "p4_smooth_dw", "p3_merge"} <= names
    assert not any("conv0_dw" in name and "_p" not in name for name in names)


def test_every_layer_is_called_once(deploy: Any):
    from edge_retina.model.keras_internals import call_count

    assert all(call_count(layer) == 1 for layer in deploy.layers)


def test_each_level_has_its_own_folded_batchnorm(deploy: Any):
    kernels = [deploy.get_layer(f"cls_p{level}_conv0_pw").get_weights()[0] for level in (3, 4, 5)]
    assert not np.allclose(kernels[0], kernels[1])
    assert not np.allclose(kernels[1], kernels[2])


def test_the_float_model_is_left_alone(make_retinanet: Callable[..., Any]):
    from edge_retina.model.deploy import build_deploy_graph

    model, _ = make_retinanet(head_depth=1)
    before = model.get_weights()
    build_deploy_graph(model)
    for found, want in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(found, want)


def refused(build: Callable[[Any, Any], Any]) -> Any:
    from edge_retina.model.keras import keras

    image = keras.Input((8, 8, 3))
    return keras.Model(image, build(keras.layers, image))


@pytest.mark.parametrize(
    "build, message",
    [
        (lambda layers, x: layers.Softmax(name="odd")(x), r"layer odd \(Softmax\) has no place"),
        (
            lambda layers, x: layers.BatchNormalization(name="bn")(layers.ReLU()(x)),
            "BatchNorm bn does not follow a convolution of its own",
        ),
        (
            lambda layers, x: layers.BatchNormalization()(layers.Conv2D(2, 1, name="conv")(x)),
            "layer conv has both a bias and a BatchNorm",
        ),
        (
            lambda layers, x: layers.Conv2D(2, 3, strides=2)(
                layers.ZeroPadding2D(1, name="pad")(x)
            ),
            r"padding pad \(\(1, 1\), \(1, 1\)\) is not 'same' \(\(0, 1\), \(0, 1\)\)",
        ),
        (
            lambda layers, x: layers.ReLU()(layers.ZeroPadding2D(1, name="pad")(x)),
            "padding pad is not followed by one convolution",
        ),
        (
            lambda layers, x: layers.Conv2D(2, 3, name="conv")(x),
            "layer conv has padding 'valid'; 'same' is needed",
        ),
        (
            lambda layers, x: layers.Conv2D(2, 1, name="conv", activation="relu")(x),
            "layer conv has an activation inside",
        ),
    ],
)
def test_what_can_not_be_folded_is_refused(build: Callable[[Any, Any], Any], message: str):
    from edge_retina.model.deploy import build_deploy_graph

    with pytest.raises(ExportError, match=message):
        build_deploy_graph(refused(build))


def test_relu_in_the_place_of_relu6(make_retinanet: Callable[..., Any], deploy: Any):
    from edge_retina.model.deploy import build_deploy_graph

    changed = build_deploy_graph(make_retinanet(head_depth=1)[0], relu6=False)
    assert [layer.name for layer in changed.layers] == [layer.name for layer in deploy.layers]
    limits = {
        (name, layer.max_value and float(layer.max_value))
        for name, model in (("relu", changed), ("relu6", deploy))
        for layer in model.layers
        if type(layer).__name__ == "ReLU"
    }
    assert limits == {("relu", None), ("relu6", 6.0)}
    small, large = images(2, 64, 64) * 0.01, images(2, 64, 64) * 30
    for batch, same in ((small, True), (large, False)):
        close = [
            np.allclose(a, b, atol=1e-4 * np.abs(b).max())
            for a, b in zip(changed(batch), deploy(batch), strict=True)
        ]
        assert all(close) == same  # equal as long as nothing is above 6


def test_resizing_computes_the_same(make_retinanet: Callable[..., Any], deploy: Any):
    from edge_retina.model.deploy import build_deploy_graph

    changed = build_deploy_graph(make_retinanet(head_depth=1)[0], resize=True)
    kinds = [type(layer).__name__ for layer in changed.layers]
    assert kinds.count("UpSampling2D") == 2
    assert "Concatenate" not in kinds
    batch = images(2, 64, 64)
    for expected, found in zip(deploy(batch), changed(batch), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())

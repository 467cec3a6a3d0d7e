from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_retina.errors import ModelError

pytestmark = pytest.mark.tf


def mobilenet(width: float) -> Any:
    from edge_retina.model.keras import keras

    return keras.applications.MobileNetV2(
        input_shape=(64, 64, 3), alpha=width, include_top=False, weights=None
    )


@pytest.fixture(scope="module")
def network() -> Any:
    from edge_retina.model.backbone import build_backbone
    from edge_retina.model.keras import keras

    image = keras.Input((64, 64, 3))
    features = build_backbone(image, width=0.35)
    # a head behind it: weights must be found by name, not by position
    extra = keras.layers.Conv2D(2, 1, name="extra")(features[5])
    return keras.Model(image, [features[3], features[4], features[5], extra])


def test_taps_are_at_strides_8_16_32(network: Any):
    assert [shape[1:3] for shape in network.output_shape[:3]] == [(8, 8), (4, 4), (2, 2)]


def test_pretrained_weights_go_to_their_layers(network: Any, tmp_path: Path):
    from edge_retina.model.backbone import load_pretrained

    source = mobilenet(0.35)
    rng = np.random.default_rng(0)
    source.set_weights([rng.normal(size=w.shape) for w in source.get_weights()])
    source.save_weights(tmp_path / "weights.h5")
    extra = network.get_layer("extra").get_weights()
    assert load_pretrained(network, pretrained=str(tmp_path / "weights.h5"), width=0.35)
    for name in ("Conv1", "block_3_depthwise_BN", "Conv_1_bn"):
        for found, want in zip(
            network.get_layer(name).get_weights(), source.get_layer(name).get_weights(), strict=True
        ):
            np.testing.assert_array_equal(found, want)
    for found, want in zip(network.get_layer("extra").get_weights(), extra, strict=True):
        np.testing.assert_array_equal(found, want)


def test_none_leaves_the_start_values(network: Any):
    from edge_retina.model.backbone import load_pretrained

    before = network.get_weights()
    assert not load_pretrained(network, pretrained="none", width=0.35)
    for found, want in zip(network.get_weights(), before, strict=True):
        np.testing.assert_array_equal(found, want)


def test_a_missing_file_is_named(network: Any, tmp_path: Path):
    from edge_retina.model.backbone import load_pretrained

    with pytest.raises(ModelError, match=r"model\.pretrained: .*nowhere\.h5 not found; give"):
        load_pretrained(network, pretrained=str(tmp_path / "nowhere.h5"), width=0.35)


def test_a_file_of_another_width_is_refused(network: Any, tmp_path: Path):
    from edge_retina.model.backbone import load_pretrained

    path = tmp_path / "half.h5"
    mobilenet(0.5).save_weights(path)
    with pytest.raises(ModelError, match=r"half\.h5 does not fit MobileNetV2 of width 0\.35"):
        load_pretrained(network, pretrained=str(path), width=0.35)


def test_a_file_that_is_no_weights_is_refused(network: Any, tmp_path: Path):
    from edge_retina.model.backbone import load_pretrained

    path = tmp_path / "broken.h5"
    path.write_bytes(b"no HDF5")
    with pytest.raises(ModelError, match=r"broken\.h5 does not fit"):
        load_pretrained(network, pretrained=str(path), width=0.35)

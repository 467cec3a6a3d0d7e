"""The grid of networks: what is in it, and what is left out and why."""

from __future__ import annotations

import pytest

from edge_retina.config import Config, load_config
from edge_retina.design.grid import AXES, Network, iterate_fixed, networks
from edge_retina.errors import ConfigError

BASE = Config()


@pytest.fixture(scope="module")
def with_data() -> list[Network]:
    """Every network of the grid."""
    return networks(BASE, fixed=(), with_data=True)


def test_names_are_unique(with_data: list[Network]) -> None:
    titles = [network.title for network in with_data]
    assert len(titles) == len(set(titles)) > 1000


def test_every_axis_names_a_field_of_the_config() -> None:
    load_config(overrides=[f"{key}={_toml(values[0])}" for key, values in AXES.items()])


def _toml(value: object) -> str:
    return str(list(value)) if isinstance(value, tuple) else str(value)


def test_without_data_levels_follow_from_the_input_size() -> None:
    found = {
        network.config.model.image_hw[0]: (network.config.model.levels, network.per_cell)
        for network in networks(BASE, fixed=(), with_data=False)
    }
    # The coarsest square is four strides: 128, 256 and 512 px. An object as large as the picture
    # may be half as long again.
    assert found[128] == found[192] == ((3, 4, 5), 1)
    assert found[224] == found[384] == ((3, 4, 5, 6), 1)
    assert found[416] == found[640] == ((3, 4, 5, 6, 7), 1)


def test_with_data_levels_and_anchors_vary(with_data: list[Network]) -> None:
    at_128 = {n.config.model.levels for n in with_data if n.config.model.image_hw == (128, 128)}
    assert at_128 == {(3, 4, 5), (3, 4, 5, 6), (3, 4, 5, 6, 7), (4, 5), (4, 5, 6), (4, 5, 6, 7)}
    assert {network.per_cell for network in with_data} == {1, 3}


def test_what_the_user_sets_stays() -> None:
    overrides = ("model.backbone_width=0.75", "model.image_size=[192,320]", "train.epochs=3")
    fixed = set(iterate_fixed(overrides))
    assert fixed == {"model.backbone_width", "model.image_hw"}
    chosen = networks(load_config(overrides=overrides), fixed=fixed, with_data=False)
    models = [network.config.model for network in chosen]
    assert {model.backbone_width for model in models} == {0.75}
    assert {model.image_hw for model in models} == {(192, 320)}
    assert {network.config.train.epochs for network in chosen} == {3}
    assert len({(model.fpn_channels, model.head_depth) for model in models}) == len(models) == 9


@pytest.mark.parametrize(
    "override, message",
    [
        ("model.wiring=od_fpnlite", 'model.wiring is "od_fpnlite"; networks are designed with'),
        ("anchors.kind=fitted", "hold for one input size"),
    ],
)
def test_other_networks_are_refused(override: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        networks(load_config(overrides=[override]), fixed=(), with_data=False)


def test_anchors_are_the_squares_that_training_would_choose(with_data: list[Network]) -> None:
    network = next(n for n in with_data if n.per_cell == 3)
    model = network.config.model
    assert network.anchors.image_hw == model.image_hw
    assert network.anchors.levels == model.levels
    assert [shape[0] / 8 for shape in network.anchors.shapes[0]] == pytest.approx(
        [4.0, 4 * 2 ** (1 / 3), 4 * 2 ** (2 / 3)], abs=1e-3
    )

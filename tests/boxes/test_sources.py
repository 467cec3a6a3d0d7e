from __future__ import annotations

import logging

import numpy as np
import pytest

from edge_retina.boxes.anchors import AnchorGrid, default_shapes, square_shapes
from edge_retina.boxes.fitting import fit_anchors
from edge_retina.boxes.samples import BoxSample
from edge_retina.boxes.sources import choose_anchors
from edge_retina.choices import ANCHOR_SOURCES
from edge_retina.config import AnchorConfig

HW, LEVELS = (64, 96), (3, 4)
SHAPES = (((8.0, 9.0),), ((16.0, 17.0),))


def objects(count: int = 60) -> BoxSample:
    rng = np.random.default_rng(0)
    corners, sizes = rng.uniform(0, 30, (count, 2)), rng.uniform(8, 34, (count, 2))
    return BoxSample.of(np.concatenate([corners, corners + sizes], axis=1))


def not_needed() -> BoxSample:
    raise AssertionError("these anchors don't depend on the objects")


def chosen(settings: AnchorConfig, sample=not_needed) -> AnchorGrid:
    return choose_anchors(sample, image_hw=HW, levels=LEVELS, settings=settings, seed=3)


@pytest.mark.parametrize(
    "strides, scales, expected",
    [
        (4.0, 1, [[(32, 32)], [(64, 64)]]),
        (3.0, 1, [[(24, 24)], [(48, 48)]]),
        (4.0, 2, [[(32, 32), (45.25, 45.25)], [(64, 64), (90.51, 90.51)]]),  # 32 x 2^(1/2)
        (2.0, 3, [[(16, 16), (20.16, 20.16), (25.4, 25.4)], [(32, 32), (40.32,) * 2, (50.8,) * 2]]),
    ],
)
def test_squares(strides: float, scales: int, expected: list):
    np.testing.assert_allclose(square_shapes(LEVELS, strides=strides, scales=scales), expected)
    settings = AnchorConfig(kind="square", square_strides=strides, square_scales=scales)
    np.testing.assert_allclose(chosen(settings).shapes, expected)


def test_one_square_of_four_strides_is_the_default_square():
    assert chosen(AnchorConfig(kind="square")) == AnchorGrid(HW, 3, (((32, 32),), ((64, 64),)))


@pytest.mark.parametrize("settings", [AnchorConfig(fit=False), AnchorConfig(kind="retinanet")])
def test_retinanet(settings: AnchorConfig):
    assert chosen(settings) == AnchorGrid(HW, 3, default_shapes(LEVELS))


@pytest.mark.parametrize(
    "settings", [AnchorConfig(per_cell=2), AnchorConfig(kind="fitted", per_cell=2)]
)
def test_fitted(settings: AnchorConfig):
    expected = fit_anchors(objects(), image_hw=HW, levels=LEVELS, per_cell=2, seed=3).grid
    assert chosen(settings, objects) == expected


def test_fewer_fitted_shapes_than_asked_for_are_told(caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.WARNING):
        assert chosen(AnchorConfig(per_cell=3), lambda: objects(12)).per_cell == 1
    assert caplog.messages == [
        "anchors.per_cell = 3 is more than the objects carry: 1 per cell were fitted, since a "
        "shape needs 10 objects of its size"
    ]


@pytest.mark.parametrize("kind", ["", *ANCHOR_SOURCES])
def test_given_shapes_go_before_every_kind(kind: str):
    assert chosen(AnchorConfig(kind=kind, shapes=SHAPES)) == AnchorGrid(HW, 3, SHAPES)


@pytest.mark.parametrize(
    "kind, fit, source",
    [
        ("", True, "square"),
        ("", False, "retinanet"),
        ("square", True, "square"),
        ("square", False, "square"),
        ("retinanet", True, "retinanet"),
        ("fitted", True, "fitted"),
    ],
)
def test_kind_goes_before_the_older_fit(kind: str, fit: bool, source: str):
    assert AnchorConfig(kind=kind, fit=fit).source == source


@pytest.mark.parametrize("options", [{"per_cell": 3}, {"evolve": 100}])
def test_settings_of_fitted_anchors_ask_for_them(options: dict[str, int]):
    assert AnchorConfig(**options).source == "fitted"
    assert AnchorConfig(kind="square", **options).source == "square"
    assert AnchorConfig(fit=False, **options).source == "retinanet"


def test_a_number_per_cell_that_squares_do_not_follow_is_told(caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.WARNING):
        chosen(AnchorConfig(kind="square"))
    assert not caplog.records
    with caplog.at_level(logging.WARNING):
        chosen(AnchorConfig(kind="square", per_cell=6))
    assert caplog.messages == [
        'anchors.per_cell = 6 has no effect with anchors.kind = "square", which has '
        "anchors.square_scales = 1 per cell"
    ]

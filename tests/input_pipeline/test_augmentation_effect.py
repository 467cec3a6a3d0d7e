from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from edge_retina.boxes.anchors import AnchorGrid
from edge_retina.config import AugmentationConfig
from edge_retina.datasets.schema import Example
from edge_retina.doctor.data.advice.network import mosaic
from edge_retina.doctor.data.checks.objects import ObjectStatistics
from edge_retina.input_pipeline.augmentation_effect import (
    ACCEPTED_MOSAIC,
    MOVING,
    AugmentationEffect,
    examine_augmentation,
    measure_effect,
    switched_off,
)
from edge_retina.input_pipeline.geometry import PlacedObjects
from tests.input_pipeline.samples import OFF, having


def spread(size: tuple[float, float], count: int = 6) -> list[Example]:
    """Eight images of 128 x 128, not on disk, with objects of one size all over them."""
    rng = np.random.default_rng(0)
    made = []
    for number in range(8):
        corners = rng.uniform(0, 128 - np.array(size), (count, 2))
        boxes = np.concatenate([corners, corners + size], axis=1).astype(np.float32)
        classes, crowd = np.zeros(count, np.int32), np.zeros(count, bool)
        made.append(Example(str(number), Path("missing.png"), (128, 128), boxes, classes, crowd))
    return made


def grid(*shapes: tuple[float, float]) -> AnchorGrid:
    return AnchorGrid((128, 128), 3, (shapes, shapes))


def warnings(
    examples: list[Example], settings: AugmentationConfig, *shapes: tuple[float, float]
) -> list[str]:
    return examine_augmentation(examples, grid(*shapes), settings, seed=0)[1]


def test_figures_by_hand():
    """Of six objects one is a crowd, one is ignored, two are cut and one is smaller than 8 px."""
    placed = PlacedObjects(
        boxes_px=np.array(
            [
                (0, 0, 20, 20),
                (0, 0, 4, 9),  # a side of 6
                (40, 40, 60, 60),
                (0, 0, 2, 2),
                (0, 0, 1, 1),
                (0, 0, 20, 20),
            ],
            np.float32,
        ),
        classes=np.zeros(6, np.int32),
        ignored=np.array([False, False, False, True, True, False]),
        too_little=np.array([False, False, False, True, False, False]),
        visible=np.array([0.5, 1, 1, 0.1, 0.5, 0.8]),
        growth=np.array([1, 1, 1.4, 9, 9, 1.2]),
    )
    effect = AugmentationEffect.of(placed, grid((20, 20)))
    assert effect.objects == 5
    assert effect.small == pytest.approx(1 / 4)
    assert effect.cut == pytest.approx(2 / 5)
    assert effect.ignored == pytest.approx(1 / 5)
    assert effect.growth == pytest.approx(0.6 / 4)
    assert effect.uncovered == pytest.approx(1 / 4)


def test_default_settings_are_all_right():
    assert warnings(spread((30, 30)), AugmentationConfig(), (30, 30), (24, 36), (36, 24)) == []


@pytest.mark.parametrize(
    "size, changes, text, remedy",
    [
        (
            (12, 12),
            {"scale": (0.3, 1)},
            "augmentation.scale: 72% of the objects are smaller than 8 px in training (0% in the "
            "images)",  # zooms below 2/3; a log-uniform zoom is, with probability 0.66
            "raise the lower bound of augmentation.scale",
        ),
        (
            (40, 40),
            {"scale": (2.5, 4), "min_visible": 0.6},
            "augmentation.scale: 92% of the objects are ignored in training",
            "lower the upper bound of augmentation.scale",
        ),
        (
            (100, 100),
            {"translate": 0.5},
            "augmentation.translate: ",
            "lower augmentation.translate",
        ),
        (
            (14, 56),
            {"rotation": 60},
            "augmentation.rotation: boxes have ",
            "lower augmentation.rotation",
        ),
        ((30, 30), {"shear": 40}, "augmentation.shear: boxes have ", "lower augmentation.shear"),
        (
            (14, 56),
            {"transpose": 0.5},
            "augmentation.transpose: ",
            "lower augmentation.transpose",
        ),
        (
            (12, 12),
            {"mosaic": 1, "horizontal_flip": 0.5},
            "augmentation.mosaic: ",
            "lower augmentation.mosaic",
        ),
    ],
)
def test_a_setting_that_goes_too_far_is_named(
    size: tuple[float, float], changes: dict[str, object], text: str, remedy: str
):
    found = warnings(spread(size), having(**{"min_visible": 0.3, **changes}), size)
    assert any(line.startswith(text) and line.endswith(f"; {remedy}") for line in found), found
    setting = text.partition(":")[0]
    assert all(line.startswith(setting) for line in found)


def test_one_line_for_each_figure():
    found = warnings(spread((14, 56)), having(rotation=60, scale=(0.2, 0.3)), (14, 56))
    assert [line.partition(":")[0] for line in found[:2]] == [
        "augmentation.scale",
        "augmentation.rotation",
    ]
    assert "smaller than 8 px" in found[0]
    assert "more area" in found[1]
    assert "no anchor of IoU 0.5" in found[2]
    assert len(found) == 3


def test_where_two_settings_do_the_same_neither_is_blamed_alone():
    settings = having(mosaic=1, scale=(0.4, 0.4))
    (small, *_) = warnings(spread((14, 14)), settings, (14, 14))
    assert small.startswith("augmentation: 100% of the objects are smaller than 8 px")
    assert "no single setting does it, augmentation.scale most of all" in small


@pytest.mark.parametrize(
    "changes, named",
    [
        ({"mosaic": ACCEPTED_MOSAIC}, []),
        ({"mosaic": ACCEPTED_MOSAIC + 0.01}, ["augmentation.mosaic"]),
        # Not blamed itself, and no cover for others.
        ({"mosaic": ACCEPTED_MOSAIC, "scale": (2.5, 2.5)}, ["augmentation.scale"]),
    ],
)
def test_mosaic_may_cut_objects_in_half_of_the_images(
    changes: dict[str, object], named: list[str]
) -> None:
    settings, examples = having(**{"min_visible": 0.3, **changes}), spread((64, 64), count=1)
    effect, found = examine_augmentation(examples, grid((64, 64), (32, 32)), settings, seed=0)
    assert sorted({line.partition(":")[0] for line in found}) == named
    assert (effect.cut > 0.5) or "scale" in changes, "the effect is that of the whole"


def test_the_doctor_advises_no_more_mosaic_than_is_accepted() -> None:
    objects = ObjectStatistics((128, 128), np.full((9, 2), 80.0), np.zeros(9), np.ones(9), {})
    (advice,) = mosaic(objects)
    assert advice.value <= ACCEPTED_MOSAIC


def test_without_images_or_objects_there_is_nothing_to_warn_of():
    wild = having(mosaic=1, copy_paste=1, rotation=90, scale=(0.1, 10), crop=1)
    assert warnings([], wild, (8, 8)) == []
    assert warnings(spread((10, 10), count=0), wild, (8, 8)) == []


def test_what_is_measured_is_what_the_seed_draws():
    examples, settings = spread((20, 20)), having(translate=0.3)

    def cut(seed: int) -> float:
        return measure_effect(examples, grid((20, 20)), settings, seed=seed, draws=50).cut

    assert cut(0) == cut(0) != cut(1)


def test_every_setting_that_moves_objects_can_be_switched_off():
    assert switched_off(AugmentationConfig(), *MOVING) == AugmentationConfig(
        scale=(1, 1), aspect=0, translate=0
    )
    wild = {name: 0.5 for name in MOVING if name != "scale"}
    assert switched_off(having(**wild, scale=(0.5, 2)), *MOVING) == OFF


def test_warnings_take_no_longer_than_a_person_waits():
    """With everything on, all settings are tried in turn: some two seconds."""
    wild = having(
        **{name: 0.5 for name in MOVING if name != "scale"}, scale=(0.1, 1), min_visible=0.3
    )
    start = time.process_time()
    assert warnings(spread((20, 20), count=20), wild, (20, 20))
    assert time.process_time() - start < 10  # five times what it takes

from __future__ import annotations

import numpy as np
import pytest

from edge_retina.evaluation.assignment import assign_detections
from edge_retina.evaluation.matches import find_matches, select_matches
from tests.evaluation.errors.made_split import draw_errors, found, picture
from tests.evaluation.pycocotools_oracle import coco_metrics
from tests.evaluation.random_split import LABELS, draw_split


@pytest.mark.parametrize("seed", range(5))
def test_the_map_is_that_of_pycocotools(seed: int):
    examples, detections = draw_split(12, seed)
    expected = coco_metrics(examples, detections, LABELS).mAP
    assert 0.05 < expected < 0.95
    assert find_matches(examples, detections, LABELS).mAP() == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_the_map_of_a_resample_is_that_of_the_pictures_drawn(seed: int):
    examples, detections = draw_split(12, seed)
    matches = find_matches(examples, detections, LABELS)
    drawn = np.random.default_rng(seed).integers(12, size=12)
    assert len(set(drawn)) < 12, "some stand twice, some are missing"
    expected = coco_metrics(
        [examples[i] for i in drawn], [detections[i] for i in drawn], LABELS
    ).mAP
    counts = np.bincount(drawn, minlength=12)
    assert matches.mAP(counts) == pytest.approx(expected, abs=1e-9)


def test_pictures_without_objects_or_detections():
    examples, detections = draw_split(12, 0)
    nothing = [item.above(2.0) for item in detections]
    matches = find_matches(examples, nothing, LABELS)
    assert matches.mAP() == 0.0
    empty = [i for i, example in enumerate(examples) if not len(example.boxes_px)]
    assert empty, "the draw has one"
    assert find_matches(examples, detections, LABELS).mAP(np.eye(12)[empty[0]]) == 0.0


def test_a_class_without_objects_in_the_resample_does_not_count():
    examples, detections = draw_split(12, 1)
    matches = find_matches(examples, detections, LABELS)
    number = next(i for i, row in enumerate(matches.objects) if (row > 0).sum() == 1)
    expected = coco_metrics([examples[number]], [detections[number]], LABELS).mAP
    assert matches.mAP(np.eye(12)[number]) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("crowd", [0.0, 0.3])
def test_many_resamples_at_once_are_each_as_alone(crowd: float):
    examples, detections = draw_errors(15, 3, crowd=crowd)
    matches = find_matches(examples, detections, LABELS)
    counts = np.random.default_rng(0).integers(0, 3, (7, 15))
    together = matches.average_precision(counts)
    assert together.shape == (7, 3, 10)
    for row, alone in zip(counts, together, strict=True):
        drawn = np.repeat(np.arange(15), row)
        expected = coco_metrics(
            [examples[i] for i in drawn], [detections[i] for i in drawn], LABELS
        )
        np.testing.assert_allclose(alone.mean(axis=1), list(expected.per_class.values()), atol=1e-9)
        assert alone[:, 0].mean() == pytest.approx(expected.mAP50, abs=1e-9)


def test_blocks_bound_the_memory_and_change_nothing(monkeypatch: pytest.MonkeyPatch):
    examples, detections = draw_errors(15, 3)
    counts = np.random.default_rng(0).integers(0, 3, (7, 15))
    expected = find_matches(examples, detections, LABELS).average_precision(counts)
    monkeypatch.setattr("edge_retina.evaluation.matches._CELLS", 1)
    blocks = find_matches(examples, detections, LABELS).average_precision(counts)
    np.testing.assert_array_equal(blocks, expected)


def test_a_class_without_objects_has_no_precision():
    examples, detections = draw_errors(15, 3, classes=2)
    precision = find_matches(examples, detections, LABELS).average_precision()
    assert np.isnan(precision[0, 2]).all()
    assert not np.isnan(precision[0, :2]).any()


def test_some_of_the_objects():
    """Objects that are not asked for are ignored, and so are the detections that found them."""
    box, other, nothing = (0, 0, 32, 32), (64, 64, 96, 96), (0, 64, 32, 96)
    known = assign_detections(
        [picture(("a", box), ("a", other))],
        [found(("a", other, 0.9), ("a", nothing, 0.8), ("a", box, 0.7))],
        LABELS,
    )

    def precision(objects: list[bool], false_alarms: list[bool] | None) -> float:
        alarms = None if false_alarms is None else np.array(false_alarms)
        chosen = select_matches(known, objects=np.array(objects), false_alarms=alarms)
        return chosen.mAP()

    assert precision([True, False], None) == pytest.approx(1 / 2)  # after the false alarm
    assert precision([False, True], None) == pytest.approx(1.0)  # before it
    assert precision([True, False], [False, False, False]) == pytest.approx(1.0)
    assert precision([True, False], [True, True, True]) == pytest.approx(1 / 2)

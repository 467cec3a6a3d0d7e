from __future__ import annotations

import numpy as np
import pytest

from edge_retina.evaluation.coco_metrics import evaluate_detections
from edge_retina.evaluation.matches import find_matches
from tests.evaluation.random_split import LABELS, draw_split


@pytest.mark.parametrize("seed", range(5))
def test_the_map_is_that_of_pycocotools(seed: int):
    examples, detections = draw_split(12, seed)
    expected = evaluate_detections(examples, detections, LABELS).mAP
    assert 0.05 < expected < 0.95
    assert find_matches(examples, detections, LABELS).mAP() == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_the_map_of_a_resample_is_that_of_the_pictures_drawn(seed: int):
    examples, detections = draw_split(12, seed)
    matches = find_matches(examples, detections, LABELS)
    drawn = np.random.default_rng(seed).integers(12, size=12)
    assert len(set(drawn)) < 12, "some stand twice, some are missing"
    expected = evaluate_detections(
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
    expected = evaluate_detections([examples[number]], [detections[number]], LABELS).mAP
    assert matches.mAP(np.eye(12)[number]) == pytest.approx(expected, abs=1e-9)

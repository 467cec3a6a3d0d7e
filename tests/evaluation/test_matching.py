"""The numbers and matches are those of pycocotools, which does not share a line of code."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from edge_retina.datasets.schema import Example
from edge_retina.evaluation.assignment import SIZES, assign_by_size
from edge_retina.evaluation.coco_metrics import evaluate_detections
from edge_retina.runtime.detections import Detections
from tests.evaluation.errors.made_split import found, picture
from tests.evaluation.pycocotools_oracle import coco_evaluation, coco_metrics

LABELS = ("a", "b", "c", "never labelled", "never found")
_HW = (256, 512)
A = (16, 16, 48, 48)


def draw(seed: int, *, grid: float = 0.0) -> tuple[list[Example], list[Detections]]:
    """Return pictures with objects of every size, crowds and difficult objects, or with nothing.

    Args:
        seed: of the draws.
        grid: to which boxes are rounded, so that many IoUs are equal or lie on a threshold.
    """
    rng = np.random.default_rng(seed)
    examples, detections = [], []
    for number in range(12):
        objects = int(rng.integers(0, 9)) if number % 4 else 0
        boxes = _boxes(rng, objects)
        classes = rng.choice([0, 1, 2, 4], objects).astype(np.int32)
        flags = rng.random((2, objects)) < 0.2
        seen = np.repeat(np.arange(objects), rng.integers(0, 5, objects))
        shifted = boxes[seen] + rng.normal(0, 1, (len(seen), 4)) * rng.choice(
            [0, 1, 8], (len(seen), 1)
        )
        made_up = _boxes(rng, int(rng.integers(0, 8)) if number % 3 else 0)
        drawn = np.concatenate([shifted, made_up])
        labels = np.concatenate([classes[seen], rng.integers(0, 4, len(made_up))])
        labels[labels == 4] = 0
        if grid:
            boxes, drawn = np.round(boxes / grid) * grid, np.round(drawn / grid) * grid
        drawn[:, 2:] = np.maximum(drawn[:, 2:], drawn[:, :2])  # some have no area
        scores = np.round(rng.random(len(drawn)), 1)  # many are equal
        order = np.argsort(-scores, kind="stable") if seed % 2 else np.arange(len(scores))
        name = f"{number}.png"
        examples.append(
            Example(name, Path(name), _HW, boxes.astype(np.float32), classes, flags[0], flags[1])
        )
        detections.append(
            Detections(
                (drawn / np.array(_HW * 2)).astype(np.float32)[order],
                labels.astype(np.int32)[order],
                scores.astype(np.float32)[order],
            )
        )
    return examples, detections


def _boxes(rng: np.random.Generator, number: int) -> np.ndarray:
    low = rng.uniform(0, 100, (number, 2))
    return np.concatenate(
        [low, low + rng.choice([12, 50, 110], (number, 1)) * rng.uniform(0.8, 1.2, (number, 2))], 1
    )


@pytest.mark.parametrize("grid", [0.0, 8.0])
@pytest.mark.parametrize("seed", range(6))
def test_all_numbers_are_those_of_pycocotools(seed: int, grid: float) -> None:
    examples, detections = draw(seed, grid=grid)
    expected = coco_metrics(examples, detections, LABELS)
    assert 0.1 < expected.mAP < 0.95
    assert None not in (expected.mAP_small, expected.mAP_medium, expected.mAP_large)
    got = evaluate_detections(examples, detections, LABELS)
    assert got.per_class == pytest.approx(expected.per_class, abs=1e-9)
    assert got.per_class["never labelled"] is None
    assert got.per_class["never found"] == 0.0
    figures, wanted = ({**item.to_dict(), "per_class": None} for item in (got, expected))
    assert figures == pytest.approx(wanted, abs=1e-9)


@pytest.mark.parametrize("grid", [0.0, 8.0])
@pytest.mark.parametrize("seed", range(3))
def test_each_detection_finds_the_object_that_it_finds_there(seed: int, grid: float) -> None:
    examples, detections = draw(seed, grid=grid)
    evaluation = coco_evaluation(examples, detections, LABELS)
    table = np.array(evaluation.evalImgs, dtype=object).reshape(len(LABELS), 4, len(examples))
    for index, known in enumerate(assign_by_size(examples, detections, LABELS, sizes=tuple(SIZES))):
        matched, ignored = {}, {}
        for item in table[:, index].ravel():
            if item is not None:
                for number, row, flags in zip(
                    item["dtIds"], item["dtMatches"].T, item["dtIgnore"].T, strict=True
                ):
                    matched[number - 1] = (row - 1).tolist()
                    ignored[number - 1] = flags.tolist()
        assert dict(zip(known.detection.tolist(), known.matched.T.tolist(), strict=True)) == matched
        assert dict(zip(known.detection.tolist(), known.ignored.T.tolist(), strict=True)) == ignored


def test_of_each_picture_and_class_the_100_best_count() -> None:
    """Pictures with 130 detections of one class: the right ones are among the worst."""
    low = np.stack([np.zeros(130), np.arange(130.0)], 1)
    boxes = np.concatenate([low, low + 20], 1).astype(np.float32)
    example = picture(("a", (0, 99, 20, 119)), ("a", (0, 110, 20, 130)))
    scores = np.linspace(0.9, 0.1, 130).astype(np.float32)
    item = Detections(boxes / np.float32(128), np.zeros(130, np.int32), scores)
    expected = coco_metrics([example] * 2, [item] * 2, LABELS)
    got = evaluate_detections([example] * 2, [item] * 2, LABELS)
    assert got.AR100 == pytest.approx(expected.AR100, abs=1e-9) == pytest.approx(0.5, abs=0.1)
    assert got.AR10 == expected.AR10 == 0
    assert got.mAP == pytest.approx(expected.mAP, abs=1e-9)


def test_pictures_are_matched_some_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    examples, detections = draw(0)
    whole = evaluate_detections(examples, detections, LABELS)
    monkeypatch.setattr("edge_retina.evaluation.matching._PICTURES", 5)
    assert evaluate_detections(examples, detections, LABELS) == whole


def test_of_equal_overlaps_the_last_object_counts() -> None:
    example = picture(("a", A), ("a", A))
    (known,) = assign_by_size([example], [found(("a", A, 0.9))], LABELS, sizes=("all",))
    assert known.matched[0].tolist() == [1]


def test_an_object_to_find_comes_before_an_ignored_one_of_more_overlap() -> None:
    near = (16, 16, 48, 40)
    example = picture(("a", A), ("a", near), difficult=[0])
    (known,) = assign_by_size([example], [found(("a", A, 0.9))], LABELS, sizes=("all",))
    assert known.matched[:, 0].tolist() == [1] * 6 + [0] * 4  # IoU .75 with the second
    assert known.right[:, 0].tolist() == [True] * 6 + [False] * 4


def test_records_from_before_the_recall_by_size_are_read() -> None:
    examples, detections = draw(1)
    metrics = evaluate_detections(examples, detections, LABELS)
    tree = metrics.to_dict()
    assert type(metrics).from_dict(tree) == metrics
    for name in ("AR_small", "AR_medium", "AR_large"):
        del tree[name]
    older = dataclasses.replace(metrics, AR_small=None, AR_medium=None, AR_large=None)
    assert type(metrics).from_dict(tree) == older

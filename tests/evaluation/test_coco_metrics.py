from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from edge_retina.datasets.schema import Example
from edge_retina.errors import DatasetError
from edge_retina.evaluation.coco_metrics import CocoMetrics, evaluate_detections
from edge_retina.runtime.detections import Detections

HW = (100, 200)
ONE = pytest.approx(1.0)  # COCO adds an epsilon to denominators
Box = Sequence[float]


def example(
    boxes_px: Sequence[Box],
    classes: Sequence[int] | None = None,
    crowd: Sequence[bool] | None = None,
    difficult: Sequence[bool] | None = None,
) -> Example:
    return Example(
        image_id="a.jpg",
        path=Path("a.jpg"),
        image_hw=HW,
        boxes_px=np.array(boxes_px, np.float32).reshape(-1, 4),
        classes=np.array(classes or [0] * len(boxes_px), np.int32),
        crowd=np.array(crowd or [False] * len(boxes_px), bool),
        difficult=np.array(difficult or [False] * len(boxes_px), bool),
    )


def found(
    boxes_px: Sequence[Box], scores: Sequence[float], classes: Sequence[int] | None = None
) -> Detections:
    height, width = HW
    boxes = np.array(boxes_px, np.float32).reshape(-1, 4)
    return Detections(
        boxes_norm=(boxes / np.array([height, width, height, width])).astype(np.float32),
        classes=np.array(classes or [0] * len(boxes), np.int32),
        scores=np.array(scores, np.float32),
    )


def one_class(truth: Sequence[Box], boxes: Sequence[Box], scores: Sequence[float]) -> CocoMetrics:
    return evaluate_detections([example(truth)], [found(boxes, scores)], ["cell"])


A, B, ELSEWHERE = (10, 10, 50, 50), (10, 100, 50, 150), (60, 10, 90, 50)


@pytest.mark.parametrize(
    "truth, boxes, scores, mean_ap",
    [
        ([A], [A], [0.9], 1.0),
        ([A], [], [], 0.0),
        ([A], [A, ELSEWHERE], [0.9, 0.8], 1.0),  # a false alarm after full recall costs nothing
        ([A], [A, ELSEWHERE], [0.8, 0.9], 0.5),  # before it: precision 1/2 at every recall
        ([A, B], [A], [0.9], 51 / 101),  # precision 1 at the recalls 0, .01 ... .50
        # hit, miss, hit: precision 1 up to recall .5, then 2/3
        ([A, B], [A, ELSEWHERE, B], [0.9, 0.8, 0.7], (51 + 50 * 2 / 3) / 101),
        # miss, hit, hit: the envelope lifts 1/2 at recall .5 to the 2/3 reached later
        ([A, B], [ELSEWHERE, A, B], [0.9, 0.8, 0.7], 2 / 3),
        ([A], [A, A], [0.9, 0.8], 1.0),  # the second hit of one object is a false alarm
        ([A, B], [A, A, B], [0.9, 0.8, 0.7], (51 + 50 * 2 / 3) / 101),
    ],
)
def test_average_precision_by_hand(
    truth: list[Box], boxes: list[Box], scores: list[float], mean_ap: float
) -> None:
    metrics = one_class(truth, boxes, scores)
    assert metrics.mAP == pytest.approx(mean_ap)
    assert metrics.mAP50 == pytest.approx(mean_ap)
    assert metrics.per_class == {"cell": pytest.approx(mean_ap)}


def test_iou_thresholds() -> None:
    """IoU .73: a hit at .50, .55, .60, .65 and .70, five of the ten."""
    metrics = one_class([(0, 0, 50, 100)], [(0, 0, 50, 73)], [0.9])
    assert (metrics.mAP50, metrics.mAP75) == (ONE, 0.0)
    assert metrics.mAP == pytest.approx(0.5)


def test_height_and_width_are_not_mixed_up() -> None:
    """A tall and a wide box in an image that isn't square."""
    assert one_class([(0, 0, 100, 20)], [(0, 0, 100, 20)], [0.9]).mAP == ONE
    assert one_class([(0, 0, 100, 20)], [(0, 0, 20, 100)], [0.9]).mAP == 0.0


def test_average_recall_counts_the_best_detections() -> None:
    truth = [(0, x, 10, x + 10) for x in range(0, 200, 20)]  # ten objects
    metrics = one_class(truth, truth, list(np.linspace(0.9, 0.5, 10)))
    assert (pytest.approx(0.1), 1.0, 1.0) == (metrics.AR1, metrics.AR10, metrics.AR100)


def test_size_bins_are_those_of_the_original_image() -> None:
    small, medium = (0, 0, 31, 33), (0, 40, 96, 135)  # 1,023 px (< 32²) and 9,120 px (< 96²)
    metrics = one_class([small, medium], [small], [0.9])
    assert (metrics.mAP_small, metrics.mAP_medium, metrics.mAP_large) == (ONE, 0.0, None)
    large = (0, 0, 97, 96)  # 9,312 px
    metrics = one_class([large], [large], [0.9])
    assert (metrics.mAP_small, metrics.mAP_medium, metrics.mAP_large) == (None, None, ONE)


def test_a_crowd_is_neither_missed_nor_a_false_alarm() -> None:
    truth = example([A, B], crowd=[False, True])
    inside_crowd = (20, 110, 40, 140)
    metrics = evaluate_detections([truth], [found([inside_crowd, A], [0.9, 0.8])], ["cell"])
    assert metrics.mAP == ONE


@pytest.mark.parametrize(
    "boxes, mean_ap",
    [
        ([A], 1.0),  # not missed
        ([B, A], 1.0),  # no false alarm
        ([B, (11, 101, 50, 150), A], 1.0),  # nor is the second detection of it, as in the devkit
        ([(20, 110, 40, 140), A], 0.5),  # inside it, but IoU .3: it found something else
    ],
)
def test_a_difficult_object_is_ignored(boxes: list[Box], mean_ap: float) -> None:
    truth = example([A, B], difficult=[False, True])
    scores = [0.9 - 0.1 * number for number in range(len(boxes))]
    metrics = evaluate_detections([truth], [found(boxes, scores)], ["cell"])
    assert metrics.mAP50 == pytest.approx(mean_ap)
    assert metrics.mAP == pytest.approx(mean_ap)
    assert metrics.AR100 == ONE


def test_classes_without_objects_count_neither_way() -> None:
    metrics = evaluate_detections(
        [example([A, B], [0, 2])],
        [found([A, B, ELSEWHERE], [0.9, 0.8, 0.95], [0, 0, 1])],
        ["cat", "dog", "eel"],
    )
    assert metrics.per_class == {"cat": ONE, "dog": None, "eel": 0.0}
    assert metrics.mAP == pytest.approx(0.5)


def test_false_alarms_in_images_without_objects_count() -> None:
    metrics = evaluate_detections(
        [example([]), example([A])], [found([B], [0.9]), found([A], [0.8])], ["cell"]
    )
    assert metrics.mAP == pytest.approx(0.5)
    assert (metrics.images, metrics.detections) == (2, 2)


def test_the_very_first_object_counts() -> None:
    """COCOeval takes annotation id 0 for "not matched": a single object would score 0."""
    assert one_class([A], [A], [0.5]).mAP == ONE


def test_nothing_to_find_is_an_error() -> None:
    with pytest.raises(DatasetError, match="no labelled object in the 2 images"):
        evaluate_detections(
            [example([A], difficult=[True]), example([A], crowd=[True])],
            [found([], [])] * 2,
            ["cell"],
        )


def test_numbers_of_images_must_agree() -> None:
    with pytest.raises(DatasetError, match="1 images, but detections of 2"):
        evaluate_detections([example([A])], [found([], [])] * 2, ["cell"])


def test_nothing_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    one_class([A], [A], [0.9])
    assert capfd.readouterr() == ("", "")


def test_json_has_the_names_of_the_contract() -> None:
    assert list(one_class([A], [A], [0.9]).to_dict()) == [
        "mAP",
        "mAP50",
        "mAP75",
        "mAP_small",
        "mAP_medium",
        "mAP_large",
        "AR1",
        "AR10",
        "AR100",
        "per_class",
        "images",
        "detections",
        "AR_small",
        "AR_medium",
        "AR_large",
    ]


@pytest.mark.parametrize("seed", range(5))
def test_random_cases_equal_an_independent_implementation(seed: int) -> None:
    rng = np.random.default_rng(seed)
    examples, detections = [], []
    for _ in range(8):
        truth = random_boxes(rng, int(rng.integers(0, 6)))
        classes = rng.integers(0, 2, len(truth)).tolist()
        examples.append(example(truth.tolist(), classes))
        shift = np.tile(rng.normal(0, 3, (len(truth), 2)), 2)
        boxes = np.concatenate([truth + shift, random_boxes(rng, 3)])
        labels = classes + rng.integers(0, 2, 3).tolist()
        detections.append(found(boxes.tolist(), rng.random(len(boxes)).tolist(), labels))
    metrics = evaluate_detections(examples, detections, ["a", "b"])
    for index, label in enumerate(["a", "b"]):
        by_iou = [oracle_ap(examples, detections, index, iou) for iou in np.linspace(0.5, 0.95, 10)]
        assert metrics.per_class[label] == pytest.approx(np.mean(by_iou), abs=1e-9)


def random_boxes(rng: np.random.Generator, number: int) -> np.ndarray:
    corner = rng.uniform(0, 60, (number, 2))
    return np.concatenate([corner, corner + rng.uniform(8, 40, (number, 2))], axis=1)


def oracle_ap(
    examples: list[Example], detections: list[Detections], label: int, threshold: float
) -> float:
    """Average precision written from its definition: greedy matching, 101 recalls, envelope."""
    hits, total = [], 0
    for item, given in zip(examples, detections, strict=True):
        truth = item.boxes_px[item.classes == label].astype(float)
        total += len(truth)
        free = [True] * len(truth)
        mine = given.classes == label
        boxes, scores = given.boxes_px(HW)[mine].astype(float), given.scores[mine]
        for rank in np.argsort(-scores, kind="stable"):
            overlaps = [
                iou(boxes[rank], other) if is_free else -1.0
                for other, is_free in zip(truth, free, strict=True)
            ]
            best = int(np.argmax(overlaps)) if overlaps else -1
            is_hit = best >= 0 and overlaps[best] >= threshold
            if is_hit:
                free[best] = False
            hits.append((scores[rank], is_hit))
    order = np.argsort([-score for score, _ in hits], kind="stable")
    true = np.cumsum([hits[rank][1] for rank in order])
    precision, recall = true / np.arange(1, len(true) + 1), true / total
    return float(
        np.mean([precision[recall >= level].max(initial=0.0) for level in np.linspace(0, 1, 101)])
    )


def iou(one: np.ndarray, other: np.ndarray) -> float:
    sides = np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2])
    shared = float(np.prod(np.clip(sides, 0, None)))
    return shared / (float(np.prod(one[2:] - one[:2]) + np.prod(other[2:] - other[:2])) - shared)

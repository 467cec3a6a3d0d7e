from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from edge_retina.datasets.schema import Example
from edge_retina.evaluation.coco_metrics import evaluate_detections
from edge_retina.evaluation.errors.tide import KINDS, ErrorGains, error_gains, error_table
from edge_retina.runtime.detections import Detections
from tests.evaluation.errors.made_split import LABELS, draw_errors, found, picture
from tests.evaluation.errors.tidecv_oracle import tidecv_gains
from tests.evaluation.pycocotools_oracle import coco_evaluation

OBJECT = (10, 10, 50, 50)  # 40 × 40
HALF = (10, 10, 50, 30)  # half of it: IoU .5
THIRD = (10, 10, 50, 23)  # a third of it
ELSEWHERE = (70, 70, 90, 90)


def decompose(examples: list[Example], detections: list[Detections]) -> ErrorGains:
    return error_gains(error_table(examples, detections, classes=len(LABELS)))


def figures(gains: ErrorGains) -> dict[str, float]:
    return {
        "mAP50": gains.mAP50,
        **gains.gains,
        "false_positives": gains.false_positives,
        "false_negatives": gains.false_negatives,
    }


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("seed", range(6))
def test_it_is_that_of_tides_authors(seed: int, ties: bool):
    examples, detections = draw_errors(25, seed, ties=ties)
    expected, counts = tidecv_gains(examples, detections, classes=3)
    gains = decompose(examples, detections)
    assert 0.1 < expected["mAP50"] < 0.9
    assert min(counts.values()) > 0, "every kind occurs"
    assert figures(gains) == pytest.approx(expected, abs=1e-12)
    assert gains.counts == counts


def test_of_a_picture_the_100_best_detections_count():
    examples, detections = draw_errors(40, 0)
    one = dataclasses.replace(
        examples[0],
        boxes_px=np.concatenate([example.boxes_px for example in examples]),
        classes=np.concatenate([example.classes for example in examples]),
        crowd=np.concatenate([example.crowd for example in examples]),
        difficult=np.concatenate([example.difficult for example in examples]),
    )
    order = np.argsort(-np.concatenate([item.scores for item in detections]), kind="stable")
    all_in_one = Detections(
        *(
            np.concatenate([getattr(item, name) for item in detections])[order]
            for name in ("boxes_norm", "classes", "scores")
        )
    )
    assert len(order) > 150
    expected, counts = tidecv_gains([one], [all_in_one], classes=3)
    gains = decompose([one], [all_in_one])
    assert figures(gains) == pytest.approx(expected, abs=1e-12)
    assert gains.counts == counts
    assert sum(counts.values()) - counts["missed"] < 100


def test_a_class_without_objects_does_not_count():
    examples, detections = draw_errors(25, 0, classes=2)
    assert any((item.classes == 2).any() for item in detections)
    expected, counts = tidecv_gains(examples, detections, classes=3, absent_count=False)
    gains = decompose(examples, detections)
    assert figures(gains) == pytest.approx(expected, abs=1e-12)
    assert gains.counts == counts
    theirs, _ = tidecv_gains(examples, detections, classes=3)
    assert theirs["mAP50"] == pytest.approx(gains.mAP50 * 2 / 3)


@pytest.mark.parametrize("seed", range(4))
def test_what_coco_ignores_is_no_error(seed: int):
    """tidecv on what is left when the detections are gone that pycocotools ignores at IoU .5."""
    examples, detections = draw_errors(25, seed, crowd=0.25)
    for number, example in enumerate(examples):  # every second crowd is a difficult object instead
        difficult = example.crowd & (np.arange(len(example.crowd)) % 2 == 0)
        crowd = example.crowd & ~difficult
        examples[number] = dataclasses.replace(example, crowd=crowd, difficult=difficult)
    evaluation = coco_evaluation(examples, detections, LABELS)
    gone = {
        number - 1
        for item in evaluation.evalImgs
        if item is not None and item["aRng"] == evaluation.params.areaRng[0]
        for number in np.array(item["dtIds"])[np.asarray(item["dtIgnore"])[0] > 0]
    }
    assert len(gone) > 10
    start, kept = 0, []
    for item in detections:
        keep = np.array([start + row not in gone for row in range(len(item))], bool)
        kept.append(Detections(item.boxes_norm[keep], item.classes[keep], item.scores[keep]))
        start += len(item)
    plain = [
        dataclasses.replace(
            example,
            boxes_px=example.boxes_px[~example.ignored],
            classes=example.classes[~example.ignored],
            crowd=np.zeros((~example.ignored).sum(), bool),
            difficult=None,
        )
        for example in examples
    ]
    expected, counts = tidecv_gains(plain, kept, classes=3)
    gains = decompose(examples, detections)
    assert figures(gains) == pytest.approx(expected, abs=1e-12)
    assert gains.counts == counts


def test_the_map50_is_cocos():
    examples, detections = draw_errors(25, 1)
    expected = evaluate_detections(examples, detections, LABELS).mAP50
    assert decompose(examples, detections).mAP50 == pytest.approx(expected, abs=0.004)


# One object of class a, found by the first detection unless the table says otherwise
@pytest.mark.parametrize(
    "rows, counts, gains",
    [
        ([], {"missed": 1}, {}),  # without the object there is nothing to measure
        ([("a", OBJECT, 0.9)], {}, {}),
        ([("b", OBJECT, 0.9)], {"classification": 1}, {"classification": 1.0}),
        ([("a", THIRD, 0.9)], {"localization": 1}, {"localization": 1.0}),
        ([("b", THIRD, 0.9)], {"both": 1, "missed": 1}, {}),
        ([("a", ELSEWHERE, 0.9)], {"background": 1, "missed": 1}, {}),
        # A better false alarm halves the precision; mending takes it away
        ([("a", ELSEWHERE, 0.9), ("a", OBJECT, 0.8)], {"background": 1}, {"background": 0.5}),
        ([("a", OBJECT, 0.9), ("a", OBJECT, 0.8)], {"duplicate": 1}, {}),
        ([("a", THIRD, 0.9), ("a", OBJECT, 0.8)], {"localization": 1}, {"localization": 0.5}),
        # Half of the object is enough; what is left over at just that IoU is a bad box
        ([("a", HALF, 0.9)], {}, {}),
        ([("a", OBJECT, 0.9), ("a", HALF, 0.8)], {"localization": 1}, {}),
        # Of two that could be mended to find it, the better one is; the other stays
        (
            [("b", OBJECT, 0.9), ("a", THIRD, 0.8)],
            {"classification": 1, "localization": 1},
            {"classification": 1.0},
        ),
    ],
)
def test_by_hand(
    rows: list[tuple[str, tuple, float]], counts: dict[str, int], gains: dict[str, float]
):
    result = decompose([picture(("a", OBJECT))], [found(*rows)])
    assert result.counts == dict.fromkeys(KINDS, 0) | counts
    assert result.gains == pytest.approx(dict.fromkeys(KINDS, 0.0) | gains)


def test_a_missed_object_costs_what_it_takes_from_the_recall():
    """Of two objects one is found: precision 1 up to a recall of .5, which are 51 of 101."""
    objects = picture(("a", OBJECT), ("a", ELSEWHERE))
    result = decompose([objects], [found(("a", OBJECT, 0.9))])
    assert result.mAP50 == pytest.approx(51 / 101)
    assert result.gains["missed"] == result.false_negatives == pytest.approx(50 / 101)
    assert result.false_positives == pytest.approx(0.0)


def test_a_detection_in_a_crowd_is_not_mended():
    """It overlaps the object a little, which tidecv would call a bad box that can be mended."""
    objects = picture(("a", OBJECT), ("a", (10, 10, 50, 23)), crowd=[1])
    result = decompose([objects], [found(("a", THIRD, 0.9))])
    assert result.counts == dict.fromkeys(KINDS, 0) | {"missed": 1}


def test_a_picture_without_objects_has_only_background_errors():
    examples = [picture(("a", OBJECT)), picture()]
    result = decompose(examples, [found(("a", OBJECT, 0.9)), found(("b", OBJECT, 0.8))])
    assert result.counts == dict.fromkeys(KINDS, 0) | {"background": 1}


def test_json_names_every_kind():
    tree = decompose([picture(("a", OBJECT))], [found(("b", OBJECT, 0.9))]).to_dict()
    assert list(tree["kinds"]) == list(KINDS)
    assert tree["kinds"]["classification"] == {"mAP50_gain": 1.0, "count": 1}
    assert set(tree["special"]) == {"false_positives", "false_negatives"}

"""Each cause is suspected where its evidence is planted, and nowhere else."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edge_retina.boxes.anchors import AnchorGrid, square_shapes
from edge_retina.config import ExportConfig, load_config
from edge_retina.datasets.schema import Example
from edge_retina.doctor.run.causes import CAUSES
from edge_retina.doctor.run.diagnosis import diagnose
from edge_retina.doctor.run.evidence import DATA, LOG, TRAIN, RunEvidence
from edge_retina.doctor.run.rate_range import RateRange, read_rate_range
from edge_retina.doctor.run.suspicion import STAGES
from edge_retina.doctor.run.training_log import TrainingLog
from edge_retina.errors import RunError
from tests.doctor.run.made import (
    GRID,
    HW,
    LABELS,
    evaluation,
    example,
    healthy,
    log,
    outputs,
    right,
    steps,
)


@pytest.fixture(autouse=True)
def _blank_images(monkeypatch: pytest.MonkeyPatch) -> None:
    blank = np.zeros((*HW, 3), np.uint8)
    monkeypatch.setattr("edge_retina.doctor.edges.load_image", lambda _: blank)
    monkeypatch.setattr("edge_retina.input_pipeline.anchor_objects._LEAST_DRAWS", 40)
    monkeypatch.setattr("edge_retina.input_pipeline.anchor_objects._DRAWS_PER_PICTURE", 1)


def suspected(run: RunEvidence) -> list[str]:
    return [item.code for item in diagnose(run).suspicions]


def evidence_of(code: str, run: RunEvidence) -> str:
    (item,) = (item for item in diagnose(run).suspicions if item.code == code)
    return "\n".join(item.evidence)


def settings_of(code: str, run: RunEvidence) -> tuple[str, ...]:
    (item,) = (item for item in diagnose(run).suspicions if item.code == code)
    return item.mend.settings


def test_a_healthy_run_is_not_accused() -> None:
    assert suspected(healthy()) == []


def test_codes_are_unique_and_stages_known() -> None:
    codes = [cause.code for cause in CAUSES]
    assert len(set(codes)) == len(codes)
    assert {cause.stage for cause in CAUSES} <= set(STAGES)


def poor_outputs(share: float = 0.0) -> Any:
    """A network that finds only some of the objects."""
    items = [example(number) for number in range(20)]
    return outputs([(item, right(item) if n < share * 20 else []) for n, item in enumerate(items)])


def with_noise(**planted: Callable[[Example], list[Any]]) -> Any:
    """Detections as planted by class of picture."""
    items = [example(number) for number in range(20)]
    return outputs([(item, planted["found"](item)) for item in items])


def mixed_up(item: Example) -> list[Any]:
    """A third of the objects under another name, any of the others."""
    number = int(item.image_id[:-4])
    return [
        (box, (label + 1 + number // 3 % 2) % 3 if (n + number) % 3 == 0 else label, 0.9)
        for n, (box, label, _) in enumerate(right(item))
    ]


def taken_for_another(item: Example) -> list[Any]:
    """A third of the cows taken for cats, by a network that can't tell them apart."""
    number = int(item.image_id[:-4])
    return [
        (box, 0 if label == 2 and number % 3 == 0 else label, score)
        for box, label, score in right(item)
    ]


def taken_for_its_twin(item: Example) -> list[Any]:
    """In every other picture cats and dogs are taken for each other."""
    return [
        (box, 1 - label if label < 2 and int(item.image_id[:-4]) % 2 else label, score)
        for box, label, score in right(item)
    ]


PLANTED: dict[str, Callable[[], RunEvidence]] = {
    "learning-rate-high": lambda: healthy(
        log=log(update_ratio_fpn=0.3, loss=lambda part: 1.8 - 0.1 * part), train=poor_outputs()
    ),
    "learning-rate-low": lambda: healthy(
        log=log(update_ratio_fpn=2e-4, update_ratio_cls_head=1e-4, update_ratio_box_head=1e-4),
        train=poor_outputs(0.3),
        val=poor_outputs(0.3),
    ),
    "too-few-steps": lambda: healthy(
        log=log(count=100), train=poor_outputs(0.3), val=poor_outputs(0.3)
    ),
    "anchors": lambda: healthy(
        grid=AnchorGrid(HW, 3, square_shapes((3, 4, 5), strides=16)),
        settings=["anchors.square_strides=16"],
    ),
    "focal-gamma": lambda: healthy(
        log=log(positive_score_p90=0.5),
        settings=["loss.focal_gamma=5"],
        train=poor_outputs(0.7),
        val=poor_outputs(0.7),
    ),
    "augmentation-strong": lambda: healthy(log=TrainingLog(steps(), (evaluation(augmented=0.6),))),
    "batchnorm": lambda: healthy(
        log=TrainingLog(steps(), (evaluation(train=0.9, augmented=0.9, val=0.9),))
    ),
    "overfitting": lambda: healthy(
        log=TrainingLog(
            steps(), tuple(evaluation(step, val=0.2 + step / 4000) for step in (200, 600, 1000))
        ),
        val=poor_outputs(0.4),
    ),
    "classes-mixed-up": lambda: healthy(train=with_noise(found=mixed_up)),
    "class-twice": lambda: healthy(
        train=with_noise(found=taken_for_its_twin), val=with_noise(found=taken_for_its_twin)
    ),
    "boxes-missing": lambda: healthy(
        train=with_noise(found=lambda item: [*right(item), ((48.0, 48.0, 74.0, 74.0), 0, 0.95)])
    ),
    "decoding": lambda: healthy(
        val=outputs(
            [(item, right(item, score=0.5)) for item in map(example, range(8))],
            split="val",
            export=ExportConfig(score_threshold=0.6),
        )
    ),
}


@pytest.mark.parametrize("code", PLANTED)
def test_a_planted_cause_comes_first(code: str) -> None:
    assert suspected(PLANTED[code]())[:1] == [code]


def test_every_cause_is_planted_somewhere() -> None:
    elsewhere = {"boxes-displaced", "resolution", "rare-classes"}
    assert {cause.code for cause in CAUSES} == PLANTED.keys() | elsewhere


def test_what_mends_a_rate_is_a_smaller_or_larger_one() -> None:
    run = PLANTED["learning-rate-high"]()
    assert settings_of("learning-rate-high", run) == ("train.learning_rate=0.0006",)
    run = PLANTED["learning-rate-low"]()
    assert settings_of("learning-rate-low", run) == ("train.learning_rate=0.03",)


def test_a_network_that_finds_nothing_is_no_witness_against_its_labels() -> None:
    """After a far too high rate thousands of weak boxes touch nothing that is labelled."""
    items = [example(number) for number in range(20)]
    noise = [((y, x, y + 20.0, x + 20.0), 2, 0.3) for y in (40.0, 60.0) for x in (40.0, 60.0)]
    near = [((12.0, 12.0, 41.0, 41.0), 0, 0.2)]
    run = healthy(
        log=log(update_ratio_fpn=lambda part: 0.2 if part < 0.1 else 1e-4),
        train=outputs([(item, noise + near) for item in items]),
        val=outputs([(item, noise + near) for item in items[:8]], split="val"),
    )
    diagnosis = diagnose(run)
    assert [item.code for item in diagnosis.suspicions][:1] == ["learning-rate-high"]
    assert not {item.stage for item in diagnosis.suspicions} & {"labels"}
    titles = {item.title for item in diagnosis.unjudged if "hardly finds" in item.reason}
    assert "Many objects are not labelled" in titles


def test_a_small_rate_that_has_learnt_everything_is_not_accused() -> None:
    run = healthy(log=log(update_ratio_fpn=1e-4, update_ratio_cls_head=1e-4))
    assert "learning-rate-low" not in suspected(run)


def ranged(turn: float) -> RateRange:
    rates = (turn / 100, turn / 10, turn, 10 * turn)
    return RateRange(rates, (2.0, 1.5, 1.0, 3.0))


def test_a_range_test_names_a_low_rate_that_nothing_else_shows() -> None:
    assert suspected(healthy(rate_range=ranged(0.02))) == []
    run = healthy(rate_range=ranged(0.2))  # the rate is .006
    assert suspected(run) == ["learning-rate-low"]
    assert "smallest at a rate of 0.2; this one is 0.006" in evidence_of("learning-rate-low", run)
    assert settings_of("learning-rate-low", run) == ("train.learning_rate=0.04",)


def test_a_range_test_names_a_high_rate_if_the_model_is_poor() -> None:
    assert suspected(healthy(rate_range=ranged(0.001))) == []
    run = healthy(rate_range=ranged(0.001), train=poor_outputs())
    assert settings_of("learning-rate-high", run) == ("train.learning_rate=0.0002",)


def test_a_loss_that_stays_is_not_blamed_on_a_rate_at_which_it_fell() -> None:
    stuck = log(loss=1.8, update_ratio_fpn=0.01)
    assert "learning-rate-high" in suspected(healthy(log=stuck, train=poor_outputs()))
    ranges = healthy(log=stuck, train=poor_outputs(), rate_range=ranged(0.02))
    assert "learning-rate-high" not in suspected(ranges)


def test_a_loss_that_had_no_time_to_fall_says_nothing() -> None:
    short = TrainingLog(steps(count=80, loss=1.8, update_ratio_fpn=0.01), (evaluation(80),))
    assert "learning-rate-high" not in suspected(healthy(log=short, train=poor_outputs()))


def test_a_flat_range_test_says_nothing() -> None:
    assert RateRange((0.1, 1.0), (2.0, 1.9)).turn is None
    assert RateRange((), ()).turn is None


@pytest.mark.parametrize("text", ["", "[]", '{"learning_rates": [1]}', '{"learning_rates": 1}'])
def test_a_range_test_of_another_format(tmp_path: Path, text: str) -> None:
    path = tmp_path / "rate_range.json"
    assert read_rate_range(path) is None
    path.write_text(text)
    with pytest.raises(RunError, match="expected lists of learning_rates and losses"):
        read_rate_range(path)


def test_what_mends_anchors_is_the_usual_size() -> None:
    run = PLANTED["anchors"]()
    assert settings_of("anchors", run) == ("anchors.kind=square", "anchors.square_strides=4")
    assert "would have one with anchors.kind=square" in evidence_of("anchors", run)
    assert "positive anchors" not in evidence_of("anchors", run), "an older log doesn't say"
    run = dataclasses.replace(run, log=log(positives=40.0, forced=30.0))
    assert "75% of the positive anchors overlapped" in evidence_of("anchors", run)


def test_squares_are_enough_for_objects_that_are_a_little_long() -> None:
    """Chess pieces are 2 : 1; squares do as well there as fitted shapes."""
    items = [
        dataclasses.replace(item, boxes_px=np.array([(4, 4, 40, 22), (60, 60, 96, 78)], np.float32))
        for item in (example(number, classes=[0, 1]) for number in range(20))
    ]
    assert "anchors" not in suspected(healthy(train_examples=tuple(items)))


def test_fitted_anchors_mend_what_squares_can_not_reach() -> None:
    items = [
        dataclasses.replace(item, boxes_px=np.array([(4, 4, 100, 16), (4, 60, 90, 70)], np.float32))
        for item in (example(number, classes=[0, 1]) for number in range(20))
    ]
    run = healthy(train_examples=tuple(items), settings=["augmentation.aspect=0"])
    assert settings_of("anchors", run) == ("anchors.kind=fitted", "matching.assigner=max_iou")


def test_lighter_augmentation_is_named_by_its_fields() -> None:
    run = healthy(
        log=TrainingLog(steps(), (evaluation(augmented=0.6),)),
        settings=["augmentation.level=strong"],
    )
    settings = settings_of("augmentation-strong", run)
    assert "augmentation.mosaic=0.0" in settings
    mended = load_config(overrides=["augmentation.level=strong", *settings]).augmentation
    light = load_config(overrides=["augmentation.level=light"]).augmentation
    assert mended.scale == light.scale
    assert mended.rotation == light.rotation


def test_taking_one_class_for_another_is_no_proof_of_wrong_labels() -> None:
    run = healthy(train=with_noise(found=taken_for_another))
    assert not {"classes-mixed-up", "class-twice"} & set(suspected(run))


def test_augmentation_that_spoils_objects_is_named_with_what_it_does() -> None:
    settings = ["augmentation.level=strong", "augmentation.scale=[0.2, 2.0]"]
    poor = poor_outputs(0.4)
    run = healthy(settings=[*settings, "augmentation.rotation=45"], train=poor, val=poor)
    assert suspected(run)[:1] == ["augmentation-strong"]
    assert "smaller than 8 px in training" in evidence_of("augmentation-strong", run)
    # A network that knows its training images in spite of it is not hampered by it.
    learnt = healthy(settings=[*settings, "augmentation.rotation=45"])
    assert "augmentation-strong" not in suspected(learnt)


def test_merging_a_class_with_two_names_is_what_it_costs() -> None:
    run = PLANTED["class-twice"]()
    (item,) = (item for item in diagnose(run).suspicions if item.code == "class-twice")
    assert "'cat' is found as 'dog'" in item.evidence[0]


def test_images_with_most_unlabelled_objects_are_named() -> None:
    assert "20 confident detections" in evidence_of("boxes-missing", PLANTED["boxes-missing"]())


def test_thresholds_are_decoded_again() -> None:
    run = PLANTED["decoding"]()
    assert settings_of("decoding", run) == ("export.score_threshold=0.05",)
    (item,) = (item for item in diagnose(run).suspicions if item.code == "decoding")
    assert item.cost == pytest.approx(1.0, abs=0.02)  # nothing was found, then everything
    assert not item.mend.retrain


def small_example(number: int) -> Example:
    boxes = np.array([(20 * n + 2, 10, 20 * n + 8, 16) for n in range(6)], np.float32)
    large = np.array([(10, 60, 60, 110)], np.float32)
    return Example(
        f"{number}.jpg",
        Path(f"{number}.jpg"),
        HW,
        np.concatenate([boxes, large]),
        np.zeros(7, np.int32),
        np.zeros(7, bool),
    )


def test_small_objects_that_are_missed_ask_for_a_larger_input() -> None:
    items = [small_example(number) for number in range(12)]
    found = [(item, right(item)[-1:]) for item in items]  # only the large one
    run = healthy(
        train_examples=tuple(items),
        train=outputs(found),
        val=outputs(found, split="val"),
    )
    assert settings_of("resolution", run) == ("model.image_hw=[192, 192]",)
    assert "of objects under 16 px 0% are found on val, of larger ones 100%" in evidence_of(
        "resolution", run
    )


def test_small_objects_that_are_found_ask_for_nothing() -> None:
    items = [small_example(number) for number in range(12)]
    found = [(item, right(item)) for item in items]
    run = healthy(
        train_examples=tuple(items), train=outputs(found), val=outputs(found, split="val")
    )
    assert "resolution" not in suspected(run)


def test_a_rare_class_that_is_poor() -> None:
    common = [example(number, classes=[0, 1, 0, 1]) for number in range(40)]
    rare = example(40, classes=[0, 1, 2, 1])
    found = [(item, right(item)) for item in common[:8]]
    found.append((rare, [one for one in right(rare) if one[1] != 2]))
    run = healthy(train_examples=(*common, rare), val=outputs(found, split="val"))
    assert "'cow' (1 objects, AP 0.00)" in evidence_of("rare-classes", run)


def drawn(number: int, moved: float) -> tuple[np.ndarray, Example]:
    """Bright squares on noise, and their boxes, moved by a share of their width."""
    rng = np.random.default_rng(number)
    image = rng.integers(60, 100, (*HW, 3)).astype(np.uint8)
    item = example(number)
    for top, left, bottom, right_ in item.boxes_px.astype(int):
        cv2.rectangle(image, (left, top), (right_ - 1, bottom - 1), (220, 200, 180), cv2.FILLED)
    boxes = item.boxes_px.copy()
    boxes[:, 1::2] += moved * (boxes[:, 3] - boxes[:, 1])[:, None]
    return image, Example(item.image_id, item.path, HW, boxes, item.classes, item.crowd)


@pytest.mark.parametrize("moved", [-0.15, 0.15])
def test_boxes_beside_the_edges_of_the_images(
    moved: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs = {f"{number}.jpg": drawn(number, moved) for number in range(20)}
    monkeypatch.setattr("edge_retina.doctor.edges.load_image", lambda path: pairs[str(path)][0])
    run = healthy(train_examples=tuple(item for _, item in pairs.values()))
    text = evidence_of("boxes-displaced", run)
    assert f"of their width too far {'right' if moved > 0 else 'left'}" in text
    assert "height" not in text


def test_boxes_on_the_edges_of_the_images(monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = {f"{number}.jpg": drawn(number, 0.0) for number in range(20)}
    monkeypatch.setattr("edge_retina.doctor.edges.load_image", lambda path: pairs[str(path)][0])
    run = healthy(train_examples=tuple(item for _, item in pairs.values()))
    assert "boxes-displaced" not in suspected(run)


def test_detections_beside_the_boxes_of_other_images() -> None:
    items = [example(number) for number in range(12)]
    moved = [
        (item, [((y, x + 4, b, r + 4), label, s) for (y, x, b, r), label, s in right(item)])
        for item in items
    ]
    text = evidence_of("boxes-displaced", healthy(val=outputs(moved, split="val")))
    assert "detections on val lie" in text
    assert "too far right" in text


def test_what_is_missing_is_said_and_the_rest_is_judged() -> None:
    run = healthy(
        train=None,
        train_examples=None,
        log=log(positive_score_p90=0.2),
        settings=["loss.focal_gamma=5"],
        missing={DATA: "the data have gone", TRAIN: "the data have gone"},
    )
    diagnosis = diagnose(run)
    assert [item.code for item in diagnosis.suspicions] == ["focal-gamma"]
    assert {item.reason for item in diagnosis.unjudged} == {"the data have gone"}
    assert "The anchors don't fit the objects" in [item.title for item in diagnosis.unjudged]


def test_without_a_log_only_pictures_speak() -> None:
    reasons = dict.fromkeys((LOG, "updates", "scores", "probe"), "no log")
    run = healthy(log=None, missing=reasons)
    assert suspected(run) == []
    assert len(diagnose(run).unjudged) == sum(
        bool(set(cause.needs) & reasons.keys()) for cause in CAUSES
    )


def test_nothing_costs_more_than_a_detector_lacks() -> None:
    run = healthy(
        log=TrainingLog(steps(), (evaluation(train=60.0, augmented=60.0, val=60.0),)),
        train=poor_outputs(0.5),
        val=poor_outputs(0.5),
    )
    (item,) = (item for item in diagnose(run).suspicions if item.code == "batchnorm")
    assert 0 < item.cost <= 1 - run.mAP


def test_what_is_broken_comes_before_its_consequences() -> None:
    run = healthy(
        grid=AnchorGrid(HW, 3, square_shapes((3, 4, 5), strides=16)),
        log=log(update_ratio_fpn=0.3, loss=1.8),
        train=poor_outputs(),
    )
    assert suspected(run)[:2] == ["learning-rate-high", "anchors"]


def test_the_document_has_all_that_was_found() -> None:
    tree = diagnose(PLANTED["anchors"]()).to_dict()
    assert tree["run"] == "runs/mine"
    assert tree["suspicions"][0]["code"] == "anchors"
    assert tree["measured"]["val"]["mAP"] == pytest.approx(1.0)
    assert tree["measured"]["train"]["images"] == 20
    assert LABELS[0] not in tree  # only plain figures
    assert GRID.image_hw == HW

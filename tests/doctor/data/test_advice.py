from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from edge_retina.config import load_config
from edge_retina.doctor.advice import Advice
from edge_retina.doctor.data.advice.advise import advise
from edge_retina.doctor.data.checks.anchors import study_anchors
from edge_retina.doctor.data.checks.objects import measure_objects
from edge_retina.doctor.data.examine import examine
from edge_retina.doctor.data.survey import survey
from tests.doctor.made import BOX, VocSet, codes, diagnose, encode, photo, small_config


def advice_for(voc: VocSet, **changes: Any) -> dict[str, Advice]:
    return {item.key: item for item in diagnose(voc.root, **changes).advice}


def test_every_number_has_a_reason(tmp_path: Path) -> None:
    voc = VocSet(tmp_path / "data")
    voc.add_sound(3)
    voc.add("flawed.jpg", ("cat", 20, 30, 20, 70))
    assert all(item.reason for item in diagnose(voc.root).advice)


def test_size_is_raised_until_objects_can_be_learned(tmp_path: Path) -> None:
    voc = VocSet(tmp_path)
    for number in range(4):  # sides of 16 px in pictures of 96 x 128
        voc.add(f"{number}.jpg", *[("cat", 20 * i, 10, 20 * i + 16, 26) for i in range(6)])
    # At 64 px they have 8 x 10.7 px; 16 px are reached at sqrt(16 * 16 / (16/96 * 16/128)) = 110.9
    assert advice_for(voc, **{"model.image_size": 64})["model.image_hw"].value == [128, 128]


def test_tiles_where_no_size_is_enough(tmp_path: Path) -> None:
    voc = VocSet(tmp_path)
    for number in range(4):  # sides of 5 px, and pictures of 128 px are worth no more than 128
        voc.add(f"{number}.jpg", *[("cat", 20 * i, 10, 20 * i + 5, 15) for i in range(6)])
    item = advice_for(voc)["model.image_hw"]
    assert item.value == [128, 128]
    # 5.77 px at 128: median 16 needs 2.77 times as much
    assert "3 x 3 overlapping tiles" in item.reason


def test_size_asked_for_is_never_lowered(tmp_path: Path) -> None:
    voc = VocSet(tmp_path)
    voc.add("a.jpg", ("cat", 5, 5, 120, 90))
    assert advice_for(voc, **{"model.image_size": 320})["model.image_hw"].value == [320, 320]


@pytest.mark.parametrize(
    "width, low",
    [
        (40, 0.75),  # 34.6 px: the default range
        (16, 0.75),  # at 128 px 18.5 px
        (8, 0.87),  # at 128 px 9.2 px: 8 / 9.24
        (6, 1.0),  # at 128 px 6.9 px: nothing left to lose
    ],
)
def test_zooming_out_stops_at_the_learnable_size(tmp_path: Path, width: int, low: float) -> None:
    voc = VocSet(tmp_path)
    voc.add("a.jpg", ("cat", 20, 10, 20 + width, 10 + width))
    assert advice_for(voc)["augmentation.scale"].value == [low, 1.33]


@pytest.mark.parametrize(
    "width, objects, value",
    [
        (40, 1, 0.5),
        (40, 5, None),  # five in a picture are enough
        (13, 1, None),  # 15.8 px at the advised 128 x 128; half of that is under 8
    ],
)
def test_mosaic_is_for_few_and_large_objects(
    tmp_path: Path, width: int, objects: int, value: float | None
) -> None:
    voc = VocSet(tmp_path)
    boxes = [("cat", 10 * i, 10, 10 * i + width, 10 + width) for i in range(objects)]
    voc.add("a.jpg", *boxes)
    found = advice_for(voc)
    assert found["model.image_hw"].value == ([128, 128] if width == 13 else [96, 96])
    mosaic = found.get("augmentation.mosaic")
    assert (mosaic and mosaic.value) == value


def with_pictures(voc: VocSet, count: int, **changes: Any) -> dict[str, Advice]:
    """Advice for a data set whose training split has its one picture `count` times."""
    known = survey(voc.root, small_config(**changes))
    repeated = dataclasses.replace(known, examples={"train": known.training * count})
    # One picture has the anchors of its repetitions, of which thousands of boxes would be drawn.
    objects, anchors = measure_objects(repeated, (96, 96)), study_anchors(known, (96, 96))
    return {item.key: item for item in advise(repeated, objects, anchors)}


@pytest.fixture
def one_picture(tmp_path: Path) -> VocSet:
    voc = VocSet(tmp_path)
    voc.add("a.jpg", ("cat", 5, 5, 50, 50))
    return voc


@pytest.mark.parametrize(
    "images, batch, steps",
    [
        (3, 8, 4000),
        (205, 8, 4000),
        (344, 8, 4000),  # from here on epochs count; the default 60 would be 2,580 steps
        (500, 8, 5200),
        (1700, 8, 11_600),  # 54.6 epochs
        (1800, 16, 6100),  # more than 6,000 steps even with the larger batch
        (20_000, 16, 30_000),  # the default 60 epochs would be 75,000
    ],
)
def test_a_training_has_enough_steps(
    one_picture: VocSet, images: int, batch: int, steps: int
) -> None:
    advice = with_pictures(one_picture, images)
    assert advice["train.batch_size"].value == batch
    assert ("train.learning_rate" in advice) == (batch != 8)
    if batch != 8:
        assert advice["train.learning_rate"].value == pytest.approx(0.006 * 2**0.5, rel=0.02)
    assert "train.epochs" not in advice
    assert advice["train.steps"].value == steps
    default = 60 * -(-images // batch)
    verdict = "too few" if default < steps else "more than needed"
    assert f"60 epochs would be {default:,} steps, {verdict}" in advice["train.steps"].reason


def test_steps_that_are_given_and_enough_stay(one_picture: VocSet) -> None:
    advice = with_pictures(one_picture, 100, **{"train.steps": 5000})
    assert not {"train.steps", "train.epochs"} & advice.keys()
    few = with_pictures(one_picture, 100, **{"train.steps": 500})["train.steps"]
    assert few.value == 4000
    assert "train.steps would be 500 steps, too few" in few.reason


@pytest.mark.parametrize("images, every", [(8, 200), (205, 8), (400, None), (5000, None)])
def test_about_twenty_evaluations(one_picture: VocSet, images: int, every: int | None) -> None:
    item = with_pictures(one_picture, images).get("train.eval_every_epochs")
    assert (item.value if item else None) == every


def test_a_rare_class_is_a_finding_and_no_reason_to_change_the_loss(tmp_path: Path) -> None:
    """One alpha weighs objects against background; it can't balance classes."""
    voc = VocSet(tmp_path)
    for number in range(20):  # 200 cats, 20 dogs
        boxes = [("cat", 12 * i, 10, 12 * i + 11, 40) for i in range(10)]
        voc.add(f"{number}.jpg", *boxes, ("dog", 20, 50, 60, 90))
    diagnosis = diagnose(voc.root)
    assert not [item for item in diagnosis.advice if item.key.startswith("loss.")]
    finding = codes(diagnosis)["class-imbalance"]
    assert [case.file for case in finding.cases] == ["dog"]
    assert finding.remedy.startswith("label more pictures of the rare class")


@pytest.mark.parametrize("image_hw", [(96, 160), (320, 96), (32, 512), (32, 1504)])
def test_levels_fit_any_rectangle(tmp_path: Path, image_hw: tuple[int, int]) -> None:
    """Large objects ask for coarse levels, whose strides a flat input may not hold."""
    voc = VocSet(tmp_path)
    voc.add("a.jpg", ("cat", 0, 0, 128, 96), ("cat", 1, 2, 127, 95))
    config = load_config(overrides=["model.max_level=5"])
    diagnosis = examine(voc.root, image_hw=image_hw, config=config)
    advised = {item.key: item.value for item in diagnosis.advice}
    overrides = [f"{key}={value}" for key, value in advised.items() if key.startswith("model.")]
    model = load_config(overrides=overrides).model
    assert model.image_hw == image_hw
    assert 2**model.max_level <= min(image_hw)


def test_splits_that_do_not_exist_are_not_asked_for(tmp_path: Path) -> None:
    voc = VocSet(tmp_path)
    voc.add_sound(2, split="photos")
    voc.add_sound(3, split="more", first=2)
    voc.add_sound(1, split="test", first=5)
    advice = advice_for(voc)
    assert advice["data.train_split"].value == "more"
    assert advice["data.val_split"].value == ""
    assert "data.test_split" not in advice


def test_pictures_that_can_not_be_decoded_are_left_out(tmp_path: Path) -> None:
    voc = VocSet(tmp_path)
    voc.add_sound(2)
    assert "data.skip_invalid" not in advice_for(voc)
    cut = encode(photo(9))
    voc.add("cut.jpg", BOX, data=cut[: len(cut) * 2 // 3])  # its header is whole
    assert advice_for(voc)["data.skip_invalid"].value is True


def test_suppression_and_detections_are_changed_only_where_needed(tmp_path: Path) -> None:
    voc = VocSet(tmp_path)
    voc.add_sound(2)
    calm = advice_for(voc)
    assert "export.nms_iou" not in calm
    assert "export.max_detections" not in calm
    voc.add("near.jpg", ("cat", 20, 30, 60, 70), ("cat", 28, 30, 68, 70))  # IoU 2/3
    crowded = advice_for(voc, **{"export.max_detections": 1})
    assert crowded["export.nms_iou"].value == 0.7
    assert crowded["export.max_detections"].value == 50

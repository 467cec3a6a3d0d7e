from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from edge_retina.config import load_config
from edge_retina.doctor.data.advice import Advice, advise, config_patch
from edge_retina.doctor.data.checks.anchors import study_anchors
from edge_retina.doctor.data.checks.objects import measure_objects
from edge_retina.doctor.data.survey import survey
from tests.doctor.made import VocSet, diagnose, small_config


def advice_for(voc: VocSet, **changes: Any) -> dict[str, Advice]:
    return {item.key: item for item in diagnose(voc.root, **changes).advice}


def test_every_number_has_a_reason_and_the_patch_is_a_config(tmp_path: Path) -> None:
    voc = VocSet(tmp_path / "data")
    voc.add_sound(3)
    voc.add("flawed.jpg", ("cat", 20, 30, 20, 70))
    advice = diagnose(voc.root).advice
    assert all(item.reason for item in advice)
    patch = tmp_path / "patch.toml"
    patch.write_text(config_patch(advice))
    config = load_config(patch).to_dict()
    for item in advice:
        section, _, name = item.key.partition(".")
        assert config[section][name] == item.value
    assert config["data"]["skip_invalid"] is True


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


def test_alpha_rises_with_the_square_root_of_the_imbalance(tmp_path: Path) -> None:
    voc = VocSet(tmp_path)
    for number in range(20):  # 140 cats, 20 dogs: the mean of 80 is 4 times 20
        boxes = [("cat", 16 * i, 10, 16 * i + 14, 40) for i in range(7)]
        voc.add(f"{number}.jpg", *boxes, ("dog", 20, 50, 60, 90))
    item = advice_for(voc)["loss.focal_alpha"]
    assert item.value == 0.4  # odds 1/3 times 2
    assert "dog has 4.0 times fewer boxes" in item.reason


@pytest.mark.parametrize("images, batch", [(3, 4), (119, 4), (120, 8), (250, 16)])
def test_batch_leaves_fifteen_steps_an_epoch(tmp_path: Path, images: int, batch: int) -> None:
    voc = VocSet(tmp_path)
    voc.add("a.jpg", ("cat", 5, 5, 50, 50))
    known = survey(voc.root, small_config())
    repeated = dataclasses.replace(known, examples={"train": known.training * images})
    objects, anchors = measure_objects(repeated, (96, 96)), study_anchors(repeated, (96, 96))
    advice = {item.key: item.value for item in advise(repeated, objects, anchors)}
    assert advice["train.batch_size"] == batch
    assert advice["train.learning_rate"] == pytest.approx(0.003 * (batch / 8) ** 0.5, rel=0.02)


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

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge_retina.boxes.fitting import coverage_curve, knee
from edge_retina.input_pipeline.anchor_objects import drawn_objects
from tests.doctor.made import BOX, VocSet, codes, diagnose


def test_the_curve_is_that_of_the_anchors_command(tmp_path: Path) -> None:
    voc = VocSet(tmp_path)
    rng = np.random.default_rng(0)
    for number in range(8):
        corners = rng.integers(2, 40, (8, 2)).tolist()
        sizes = rng.integers(8, 50, (8, 2)).tolist()
        voc.add(
            f"{number}.jpg",
            *[("cat", x, y, x + w, y + h) for (x, y), (w, h) in zip(corners, sizes, strict=True)],
        )
    diagnosis = diagnose(voc.root)
    known, study = diagnosis.survey, diagnosis.anchors
    config = known.config
    drawn = drawn_objects(
        known.training, image_hw=(96, 96), settings=config.augmentation, seed=config.seed
    )
    expected = coverage_curve(drawn, image_hw=(96, 96), levels=study.levels, seed=config.seed)
    assert len(study.curve) >= 2
    assert study.curve == expected
    advised = {item.key: item.value for item in diagnosis.advice}
    assert advised["model.image_hw"] == [96, 96]  # so the advice is about the same study
    assert advised["anchors.kind"] == "fitted"
    assert advised["anchors.per_cell"] == knee(expected)


def test_objects_without_an_anchor_are_found(tmp_path: Path) -> None:
    voc = VocSet(tmp_path)
    for number, width in enumerate(range(60, 120, 6)):
        voc.add(f"{number}.jpg", ("rod", 2, 10, 2 + width, 15), ("rod", 2, 30, 7, 30 + width // 2))
    found = codes(diagnose(voc.root, **{"anchors.per_cell": 1}))
    assert found["default-anchors-miss"].severity == "note"
    assert found["default-anchors-miss"].count == 20
    assert found["fitted-anchors-miss"].severity == "warning"
    assert "best possible recall" in found["fitted-anchors-miss"].cases[0].detail


def with_rods(root: Path, rods: int) -> VocSet:
    """Twenty objects, some of them 12 : 1."""
    voc = VocSet(root)
    for number in range(20):
        shape = (10, 20, 82, 26) if number < rods else BOX[1:]
        voc.add(f"{number}.jpg", ("rod", *shape))
    return voc


STILL = {"augmentation.scale": [1, 1], "augmentation.aspect": 0, "augmentation.translate": 0}


def test_squares_are_advised_where_they_reach_the_objects(tmp_path: Path) -> None:
    advice = {item.key: item for item in diagnose(with_rods(tmp_path, 2).root, **STILL).advice}
    assert advice["anchors.kind"].value == "square"
    assert "anchors.per_cell" not in advice, "it says nothing about squares"
    assert advice["anchors.kind"].reason.startswith(
        "only 10.0% of the objects, as training draws them, are longer than 3.1 : 1"
    )


@pytest.mark.parametrize("side, assigner", [(20, "atss"), (40, "dynamic_k")])
def test_more_positive_anchors_are_advised_for_large_objects(
    tmp_path: Path, side: int, assigner: str
) -> None:
    """Pictures are 128 x 96, so 27 px are a quarter of a side in the mean."""
    voc = VocSet(tmp_path)
    for number in range(12):
        voc.add(f"{number}.jpg", ("cat", 10, 10, 10 + side, 10 + side))
    advice = {item.key: item for item in diagnose(voc.root, **STILL).advice}
    assert advice["anchors.kind"].value == "square"
    assert advice["matching.assigner"].value == assigner
    assert ("a side of 36%" in advice["matching.assigner"].reason) == (side == 40)


def test_fitted_anchors_are_advised_for_long_objects(tmp_path: Path) -> None:
    diagnosis = diagnose(with_rods(tmp_path, 3).root, **STILL)
    advice = {item.key: item for item in diagnosis.advice}
    assert advice["anchors.kind"].value == "fitted"
    assert advice["anchors.kind"].reason.startswith("15.0% of the objects")
    assert advice["anchors.per_cell"].value == knee(diagnosis.anchors.curve)
    assert advice["matching.assigner"].value == "max_iou"
    assert diagnosis.to_dict()["anchors"]["square_reach"]["too_long"] == 0.15


def test_objects_are_judged_as_training_draws_them(tmp_path: Path) -> None:
    """The files' rods are just within a square's reach; stretched ones are not."""
    voc = VocSet(tmp_path)
    for number in range(10):
        voc.add(f"{number}.jpg", ("rod", 10, 30, 84, 50))  # 2.8 : 1 at a square input
    still = diagnose(voc.root, **STILL).anchors.square
    stretched = diagnose(voc.root, **{**STILL, "augmentation.aspect": 0.5}).anchors.square
    assert still.too_long == 0
    assert stretched.too_long > 0.2


def test_held_out_objects_are_those_of_the_validation_split(tmp_path: Path) -> None:
    voc = VocSet(tmp_path)
    voc.add_sound(6)
    before = diagnose(voc.root).anchors
    assert (before.held_out_name, before.held_out["fitted"].objects) == ("5 folds by picture", 6)
    voc.add_sound(2, split="val", first=6)
    study = diagnose(voc.root).anchors
    assert study.held_out_name == "split 'val'"
    assert {item.objects for item in study.held_out.values()} == {2}

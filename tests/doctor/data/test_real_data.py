"""The quirks that ../shared/data/README.md lists are found, and nothing sound is an error."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from edge_retina.doctor.data.examine import Diagnosis, examine
from edge_retina.doctor.findings import Finding
from tests.doctor.made import codes

# Data set, its errors, and other findings that it must have with their counts (None: any)
SETS: list[tuple[str, dict[str, int], dict[str, int | None]]] = [
    (
        "bccd",
        {"zero-area-box": 2},
        {"class-imbalance": 2, "crowding": None, "default-anchors-miss": None},
    ),
    (
        "chess",
        {},
        {
            "mostly-small-objects": None,
            "class-with-one-box": 1,
            "image-without-objects": 1,
            "duplicate-box": 1,
            "near-duplicate-image": None,
        },
    ),
    ("vehicles5", {}, {"other-class-list": 1}),
    ("coco_tiny", {}, {"class-id-gaps": 10, "crowd-region": 17}),
    ("raccoon", {}, {"grey-image": 3, "duplicate-image": 4, "covering-box": 1}),
    ("raccoon/csv", {}, {"grey-image": 3, "duplicate-image": 4, "covering-box": None}),
    ("mediapipe_min/coco_data", {"box-sticks-out": 17}, {}),
    ("mediapipe_min/pascal_voc_data", {}, {}),
]


@cache
def diagnosis_of(path: Path) -> Diagnosis:
    return examine(path, image_hw=(256, 256))


def of(shared_data: Path, name: str) -> dict[str, Finding]:
    return codes(diagnosis_of(shared_data / name))


@pytest.mark.parametrize("name, errors, others", SETS)
def test_quirks_are_found_and_nothing_else_is_an_error(
    shared_data: Path, name: str, errors: dict[str, int], others: dict[str, int | None]
) -> None:
    found = of(shared_data, name)
    assert {c: f.count for c, f in found.items() if f.severity == "error"} == errors
    for code, count in others.items():
        assert found[code].count == count or (count is None and found[code].count > 0)


def test_bccd_names_its_zero_area_boxes(shared_data: Path) -> None:
    cases = of(shared_data, "bccd")["zero-area-box"].cases
    assert {(Path(case.file).name, case.where.rpartition(", ")[2]) for case in cases} == {
        ("BloodImage_00338.jpg", "object 13"),
        ("BloodImage_00343.jpg", "object 4"),
    }


def test_chess_names_its_stray_class(shared_data: Path) -> None:
    found = of(shared_data, "chess")
    assert [case.file for case in found["class-with-one-box"].cases] == ["bishop"]
    assert found["image-without-objects"].cases[0].file.startswith("images/test/")


def test_vehicles5_names_the_other_list(shared_data: Path) -> None:
    cases = of(shared_data, "vehicles5")["other-class-list"].cases
    assert [case.file for case in cases] == ["dataset.yaml.as_published"]


def test_raccoon_names_its_copies(shared_data: Path) -> None:
    cases = of(shared_data, "raccoon")["duplicate-image"].cases
    pairs = {frozenset((case.file, case.detail.removeprefix("same as "))) for case in cases}
    assert frozenset(("images/raccoon-11.jpg", "images/raccoon-116.jpg")) in pairs
    assert frozenset(("images/raccoon-83.jpg", "images/raccoon-120.jpg")) in pairs


@pytest.mark.parametrize("name", ["bccd", "chess", "vehicles5", "coco_tiny"])
def test_fitted_anchors_cover_more_than_the_default_ones(shared_data: Path, name: str) -> None:
    coverage = diagnosis_of(shared_data / name).anchors.coverage
    assert coverage["fitted"].best_possible_recall > coverage["default"].best_possible_recall

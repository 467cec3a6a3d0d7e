"""Folds of pictures, and what is done again after an interruption."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from edge_retina.cli.main import main
from edge_retina.datasets import load_dataset
from edge_retina.datasets.schema import Example
from edge_retina.runtime.detections import Detections
from edge_retina.workflow import label_check
from edge_retina.workflow.label_check import assign_folds
from tests.doctor.made import BOX, VocSet


def test_folds_are_about_as_large() -> None:
    folds = assign_folds(100, 3)
    assert sorted(np.bincount(folds).tolist()) == [33, 33, 34]
    assert (folds == assign_folds(100, 3)).all()
    assert (folds != assign_folds(100, 3, seed=1)).any()


def test_groups_stay_together() -> None:
    groups = [0] * 10 + [1] * 5 + list(range(2, 17))
    folds = assign_folds(30, 3, groups=groups)
    assert len(set(folds[:10])) == 1
    assert len(set(folds[10:15])) == 1
    assert sorted(np.bincount(folds).tolist()) == [10, 10, 10]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    voc = VocSet(tmp_path / "data")
    voc.add_sound(8)
    voc.add_sound(4, split="val", first=8)
    voc.add("12.jpg", split="test")  # its object has no box
    return voc.root


@pytest.fixture
def judged(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, list[str]]]:
    """Stand-ins of detectors, which find the object of every picture: what each judged."""
    done: list[tuple[int, list[str]]] = []

    def judge(
        config: Any, labels: Any, run: Any, *, train: list[Example], judged: list[Example]
    ) -> list[Detections]:
        assert not {item.image_id for item in train} & {item.image_id for item in judged}
        done.append((len(train), [item.image_id for item in judged]))
        _, xmin, ymin, xmax, ymax = BOX
        return [
            Detections(
                np.array([(ymin / 96, xmin / 128, ymax / 96, xmax / 128)], np.float32),
                np.zeros(1, np.int32),
                np.full(1, 0.9, np.float32),
            )
            for _ in judged
        ]

    monkeypatch.setattr(label_check, "_judge", judge)
    return done


def doctor(*args: object) -> Result:
    return CliRunner().invoke(main, ["doctor", *map(str, args)])


def test_every_picture_is_judged_once_by_a_stranger(
    data: Path, tmp_path: Path, judged: list[tuple[int, list[str]]]
) -> None:
    html, review, tree = (tmp_path / name for name in ("page.html", "review.json", "found.json"))
    result = doctor(
        *(data, "--labels", "--out", tmp_path / "out"),
        *("--html", html, "--review", review, "--json", tree),
    )
    assert result.exit_code == 0, result.output
    expected = ["12.jpg", *(f"sound{number}.jpg" for number in range(12))]
    assert sorted(name for _, names in judged for name in names) == sorted(expected)
    assert len(judged) == 3
    # Twelve right detections and one false alarm, all of the same score.
    assert json.loads(tree.read_text())["mAP50"] == pytest.approx(12 / 13, abs=0.08)
    assert "too weak" not in result.stdout
    assert "13 pictures, 12 objects: 1 suspicious labels (1 missed, 0 misplaced" in result.stdout
    (suspect,) = json.loads(tree.read_text())["suspects"]
    assert (suspect["kind"], suspect["image_id"]) == ("missed", "12.jpg")
    assert html.read_text().count("data:image/jpeg") == 1
    marked = [
        item
        for item in json.loads(review.read_text())["annotations"]
        if item["attributes"]["suspect"] != "no"
    ]
    assert [item["attributes"]["proposed"] for item in marked] == ["cat"]
    assert marked[0]["bbox"] == pytest.approx([20, 30, 40, 40], abs=0.1)


def test_weak_detectors_are_told(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nothing = Detections(
        np.zeros((0, 4), np.float32), np.zeros(0, np.int32), np.zeros(0, np.float32)
    )
    monkeypatch.setattr(label_check, "_judge", lambda *_, judged, **__: [nothing for _ in judged])
    result = doctor(data, "--labels", "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert "mAP50 0.00 on pictures that they had not seen; they are too weak" in result.stdout


def test_the_review_file_is_a_data_set(
    data: Path, tmp_path: Path, judged: list[tuple[int, list[str]]]
) -> None:
    review = tmp_path / "review" / "annotations" / "instances_train.json"
    review.parent.mkdir(parents=True)
    result = doctor(data, "--labels", "--out", tmp_path / "out", "--review", review)
    assert result.exit_code == 0, result.output
    (data / "JPEGImages").rename(review.parent.parent / "images")
    (examples,) = load_dataset(review.parent.parent).splits.values()
    assert sum(len(item.classes) for item in examples) == 13


def test_folds_of_other_data_are_refused(
    data: Path, tmp_path: Path, judged: list[tuple[int, list[str]]]
) -> None:
    out = tmp_path / "out"
    assert doctor(data, "--labels", "--out", out).exit_code == 0
    assert doctor(data, "--labels", "--out", out).exit_code == 0, "the same goes on"
    result = doctor(data, "--labels", "--out", out, "--set", "train.steps=5")
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1] == (
        f"Error: {out}: holds folds of other data or settings; give another --out, or delete it"
    )


def test_too_few_pictures(data: Path, tmp_path: Path) -> None:
    result = doctor(data, "--labels", "--out", tmp_path / "out", "--folds", "5")
    assert result.exit_code == 1
    assert "13 pictures are too few for 5 folds of at least 4" in result.stderr


@pytest.mark.parametrize(
    "options, message",
    [
        (["--labels"], "--labels goes with DATA and --out DIR"),
        (["--review", "x.json"], "--out and --review go with --labels"),
    ],
)
def test_options_that_belong_together(data: Path, options: list[str], message: str) -> None:
    result = doctor(data, *options)
    assert result.exit_code == 2
    assert message in result.stderr

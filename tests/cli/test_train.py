"""`edge-retina train`: showing what a training would see."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import pytest
from click.testing import CliRunner, Result

from edge_retina.cli.main import main
from edge_retina.datasets.generated import generate_dataset


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data") / "shapes"
    generate_dataset(root, images={"train": 6, "val": 2, "test": 2}, image_hw=(96, 128), seed=1)
    return root


def train(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["train", *map(str, arguments)])


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".JPEG"])
def test_a_preview_is_the_only_file_written(data: Path, tmp_path: Path, suffix: str):
    target = tmp_path / "here" / f"sheet{suffix}"
    before = sorted(data.rglob("*"))
    result = train(data, "--preview-augmentation", target)
    assert result.exit_code == 0, result.output
    assert list(tmp_path.rglob("*")) == [target.parent, target]
    assert sorted(data.rglob("*")) == before
    image = cv2.imread(str(target))
    assert image is not None
    assert image.shape[1] == 5 * (320 + 8) + 8
    first, second, *rest = result.stdout.splitlines()
    assert first == f"augmented training images: {target}"
    assert second.startswith("200 draws, ")
    assert all(line.startswith("warning: augmentation") for line in rest)


def test_the_preview_says_what_goes_too_far(data: Path, tmp_path: Path):
    result = train(
        *(data, "--preview-augmentation", tmp_path / "s.png", "--json", tmp_path / "s.json"),
        *("--set", "augmentation.scale=[0.1, 0.2]", "--set", "model.image_hw=128"),
    )
    assert result.exit_code == 0, result.output
    line = next(line for line in result.stdout.splitlines() if "smaller than 8 px in" in line)
    assert line.startswith("warning: augmentation.scale: ")
    assert line.endswith("; raise the lower bound of augmentation.scale")
    found = json.loads((tmp_path / "s.json").read_text(encoding="utf-8"))
    assert line.removeprefix("warning: ") in found["warnings"]
    assert found["draws"] == 200
    assert found["effect"]["small"] > 0.5
    assert found["sheet"]["kept"] > 0


def test_level_and_seed_reach_the_preview(data: Path, tmp_path: Path):
    def pixels(*options: str) -> bytes:
        target = tmp_path / "s.png"
        result = train(data, "--preview-augmentation", target, *options)
        assert result.exit_code == 0, result.output
        return target.read_bytes()

    plain = ("--set", "augmentation.level=none")
    assert pixels(*plain) == pixels(*plain)
    assert len({pixels(*plain), pixels(*plain, "--seed", "1"), pixels()}) == 3


def test_another_suffix_is_refused(data: Path, tmp_path: Path):
    target = tmp_path / "sheet.gif"
    result = train(data, "--preview-augmentation", target)
    assert result.exit_code == 1
    assert result.stderr.splitlines() == [
        f"Error: --preview-augmentation {target}: the file's name must end in .jpg, .jpeg, .png"
    ]
    assert not target.exists()


def test_a_training_needs_a_place(data: Path):
    result = train(data)
    assert result.exit_code == 2
    assert result.stderr.splitlines()[-1] == "Error: Missing option '--out'."

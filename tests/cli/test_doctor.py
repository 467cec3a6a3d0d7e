from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from edge_retina.cli.doctor import command
from edge_retina.cli.main import main
from edge_retina.config import load_config
from tests.doctor.made import BOX, VocSet

SMALL = ["--image-size", "96", "--set", "model.max_level=5"]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    voc = VocSet(tmp_path / "data")
    voc.add_sound(3)
    voc.add("flawed.jpg", BOX, ("cat", 20, 30, 20, 70))
    return voc.root


def doctor(*args: object) -> Result:
    return CliRunner().invoke(command, [*map(str, args), *SMALL])


def test_text_has_errors_first_and_the_exit_code_is_0(data: Path) -> None:
    result = doctor(data)
    assert result.exit_code == 0, result.output
    head, counts, _, first = result.stdout.splitlines()[:4]
    assert head.startswith(f"{data} (voc): 4 pictures (train 4), 5 objects, 1 class, at 96 px")
    assert counts.startswith("1 error, ")
    assert first == "ERROR zero-area-box: Boxes with zero area (1)"
    assert "JPEGImages/flawed.jpg (Annotations/flawed.xml, object 2)" in result.stdout
    assert "data.skip_invalid = true: 1 invalid annotation" in " ".join(result.stdout.split())


def test_all_results_go_where_they_are_wanted(data: Path, tmp_path: Path) -> None:
    page, advice = tmp_path / "out" / "page.html", tmp_path / "out" / "advice.toml"
    result = doctor(data, "--json", "-", "--html", page, "--write-config", advice)
    assert result.exit_code == 0, result.output
    tree = json.loads(result.stdout)
    assert tree["schema_version"] == 1
    assert tree["data"] == {"path": str(data), "layout": "voc"}
    assert tree["images"] == {"train": 4}
    assert tree["boxes"] == {"cat": 5}
    assert tree["findings"][0]["code"] == "zero-area-box"
    assert set(tree["anchors"]["sets"]) == {"default", "square", "fitted"}
    config = load_config(advice)
    assert config.data.skip_invalid
    assert config.data.path == str(data)
    assert 'path = "../data"' in advice.read_text()
    assert '<a href="../data/JPEGImages/flawed.jpg">' in page.read_text()


def test_a_rectangular_input(data: Path) -> None:
    result = CliRunner().invoke(
        command, [str(data), "--image-size", "64x128", "--set", "model.max_level=5", "--json", "-"]
    )
    tree = json.loads(result.stdout)
    assert (tree["image_hw"], tree["image_size"]) == ([64, 128], None)
    # 40 x 40 px in pictures of 96 x 128: 26.7 x 40 px at the input
    assert tree["objects"]["side_px"]["p50"] == pytest.approx((40 * 64 / 96 * 40) ** 0.5, abs=0.01)
    assert tree["objects"]["aspect"]["p50"] == pytest.approx(64 / 96, abs=0.001)
    advice = {item["key"]: item["value"] for item in tree["advice"]}
    assert advice["model.image_hw"] == [64, 128]


def test_settings_reach_the_examination(data: Path) -> None:
    tree = json.loads(doctor(data, "--json", "-").stdout)
    other = json.loads(
        doctor(data, "--json", "-", "--seed", "3", "--set", "anchors.square_scales=3").stdout
    )
    assert len(tree["anchors"]["sets"]["square"]["shapes"][0]) == 1
    assert len(other["anchors"]["sets"]["square"]["shapes"][0]) == 3


@pytest.mark.parametrize(
    "args, message",
    [
        (["nowhere"], "Error: nowhere: no such file or directory; expected a data set"),
        (["data", "--image-size", "100"], "model.image_hw must be a multiple of 32, got 100"),
        (["data", "--html", "data/JPEGImages/sound0.jpg/x.html"], "can't be written"),
    ],
)
def test_what_can_not_be_done_is_one_line(
    data: Path, monkeypatch: pytest.MonkeyPatch, args: list[str], message: str
) -> None:
    monkeypatch.chdir(data.parent)
    result = CliRunner().invoke(main, ["doctor", *args, "--set", "model.max_level=5"])
    assert result.exit_code == 1
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1

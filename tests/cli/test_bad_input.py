"""Bad input: one line with the problem and its fix, an exit code, and nothing written."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from edge_retina.cli.main import main
from edge_retina.datasets import load_dataset
from edge_retina.datasets.generated import generate_dataset
from edge_retina.datasets.saving import write_dataset

TINY = Path(__file__).resolve().parents[1] / "golden" / "tiny_float32.tflite"
MEND = "fix the file or pass --skip-invalid (data.skip_invalid = true)"
NO_RUN = "not a run directory (no config.toml); create one with 'edge-retina train'"


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Valid data sets `coco` and `voc` of the same pictures."""
    root = tmp_path_factory.mktemp("pristine")
    generate_dataset(
        root / "coco", images={"train": 4, "val": 2, "test": 2}, image_hw=(96, 128), seed=1
    )
    write_dataset(load_dataset(root / "coco"), root / "voc", layout="voc")
    return root


@pytest.fixture
def here(pristine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with the data sets, that commands name by relative paths."""
    path = tmp_path / "here"
    shutil.copytree(pristine, path)
    monkeypatch.chdir(path)
    return path


def invoke(command: str) -> Result:
    return CliRunner().invoke(main, command.split())


def state(root: Path) -> dict[Path, tuple[int, int]]:
    """Size and time of everything below a directory, hidden and temporary files too."""
    return {
        path: (path.lstat().st_size, path.lstat().st_mtime_ns) for path in (root, *root.rglob("*"))
    }


def assert_refused(here: Path, command: str, message: str, *, code: int = 1) -> None:
    before = state(here)
    result = invoke(command)
    assert result.exit_code == code, result.output
    lines = result.stderr.splitlines()
    assert lines[-1] == f"Error: {message}"
    assert [line for line in lines if line.startswith("Error:")] == lines[-1:]
    assert "Traceback" not in result.output
    assert result.stdout == ""
    assert state(here) == before


@pytest.mark.parametrize("command", ["train gone --out out", "convert gone --to csv --out out"])
def test_a_missing_data_set(here: Path, command: str) -> None:
    where = here / "gone" if command.startswith("train") else "gone"
    assert_refused(here, command, f"{where}: no such file or directory; expected a data set")


@pytest.mark.parametrize(
    "init, message",
    [
        ("gone", "no such file or directory; expected a RUN or a weights file"),
        ("voc", NO_RUN),
        ("here.h5", "no such file or directory; expected a RUN or a weights file"),
    ],
)
def test_nothing_to_start_from(here: Path, init: str, message: str) -> None:
    (here / "c.toml").write_text('[data]\npath = "coco"\n')
    for command in ("train coco", "run c.toml"):
        assert_refused(
            here, f"{command} --out out --init {init}", f"train.init: {here}/{init}: {message}"
        )


@pytest.mark.parametrize("command", ["train voc --out out", "convert voc --to csv --out out"])
def test_a_box_without_width(here: Path, command: str) -> None:
    xml = next(p for p in sorted(here.rglob("*.xml")) if "<object>" in p.read_text())
    text, changes = re.subn(r"<xmin>.*?</xmin>", "<xmin>52</xmin>", xml.read_text(), count=1)
    text = re.sub(r"<xmax>.*?</xmax>", "<xmax>40</xmax>", text, count=1)
    xml.write_text(text)
    assert changes == 1
    where = xml if command.startswith("train") else xml.relative_to(here)
    assert_refused(here, command, f"{where}, object 1: xmax (40) <= xmin (52); {MEND}")


def test_a_picture_cut_in_half(here: Path) -> None:
    picture = here / "coco" / "images" / "train" / "000001.jpg"
    content = picture.read_bytes()
    picture.write_bytes(content[: len(content) // 2])
    assert_refused(
        here,
        "train coco --out out",
        f"{picture}: JPEG is cut off (no end marker); copy the file again, "
        "or set data.skip_invalid = true",
    )


def test_a_class_that_is_not_in_the_list(here: Path) -> None:
    labels = [label for label in load_dataset(here / "voc").labels if label != "ring"]
    (here / "voc" / "labels.txt").write_text("\n".join([*labels, "rings"]))
    result = invoke("train voc --out out")
    assert result.exit_code == 1
    assert re.fullmatch(
        rf"Error: {re.escape(str(here))}/voc/Annotations/\S+\.xml, object \d+: "
        rf"class 'ring' is not in the list; did you mean 'rings'\?; {re.escape(MEND)}"
        r"( \(\d+ more problems? in this data set\))?\n",
        result.stderr,
    )
    assert not (here / "out").exists()


def test_an_empty_data_set(here: Path) -> None:
    (here / "empty").mkdir()
    result = invoke("train empty --out out")
    assert result.exit_code == 1
    assert result.stderr.startswith(f"Error: {here}/empty: directory is empty; expected one of ")
    assert len(result.stderr.splitlines()) == 1
    assert not (here / "out").exists()


@pytest.mark.parametrize(
    "toml, message",
    [
        ("[train]\nepoch = 3\n", "c.toml: unknown key 'train.epoch'; did you mean 'epochs'?"),
        ("[trian]\nepochs = 3\n", "c.toml: unknown key 'trian'; did you mean 'train'?"),
        ('[train]\nepochs = "many"\n', "c.toml: train.epochs must be an integer, got 'many'"),
        ("train = 3\n", "c.toml: 'train' must be a section, got 3"),
        ("[train]\nepochs = -1\n", "c.toml: train.epochs must be 0 or more, got -1"),
        ('preset = "fst"\n', "preset 'fst' is unknown; did you mean 'fast'?"),
        ('[data]\npath = "coco"\ntrain_split = "trian"\n', "{here}/coco: no split 'trian'; "),
        ("", "data.path is empty; set it to the directory of the labelled pictures"),
        ("[train\n", "c.toml: not valid TOML: "),
    ],
)
def test_bad_configs(here: Path, toml: str, message: str) -> None:
    (here / "c.toml").write_text(toml)
    before = state(here)
    result = invoke("run c.toml --out out")
    assert result.exit_code == 1
    assert result.stderr.startswith(f"Error: {message.format(here=here)}")
    assert len(result.stderr.splitlines()) == 1
    assert state(here) == before


@pytest.mark.parametrize(
    "override, message",
    [
        ("nonsense", "--set nonsense: expected section.field=value, e.g. --set train.epochs=3"),
        ("=3", "--set =3: expected section.field=value, e.g. --set train.epochs=3"),
        ("train.epochs=few", "--set: train.epochs must be an integer, got 'few'"),
        ("train.epoch=3", "--set: unknown key 'train.epoch'; did you mean 'epochs'?"),
        ("train=3", "--set: 'train' must be a section, got 3"),
        ("export.nms_iou=nan", "--set: export.nms_iou must be in 0.05..1, got nan"),
        ("model.image_size=100", "--set: model.image_hw must be a multiple of 32, got 100"),
    ],
)
@pytest.mark.parametrize("command", ["train coco --out out", "demo --out out"])
def test_bad_overrides(here: Path, command: str, override: str, message: str) -> None:
    assert_refused(here, f"{command} --set {override}", message)


def test_a_data_set_in_place_of_a_run(here: Path) -> None:
    assert_refused(here, "quantize coco", f"coco: {NO_RUN}")
    assert_refused(here, "export coco --out out", f"coco: {NO_RUN}")
    assert_refused(here, "export gone --out out", f"gone: {NO_RUN}")


def test_a_run_that_is_not_trained(here: Path) -> None:
    (here / "run").mkdir()
    (here / "run" / "config.toml").write_text('[data]\npath = "../coco"\n')
    message = "run: float/best.h5 is missing; run 'edge-retina train' first"
    assert_refused(here, "quantize run", message)
    assert_refused(here, "export run --out out", message)
    assert_refused(here, "evaluate run coco", message)
    assert_refused(here, "benchmark run", message)


@pytest.mark.parametrize(
    "command", ["evaluate half.tflite coco", "predict half.tflite coco/images --out out"]
)
def test_a_model_cut_in_half(here: Path, command: str) -> None:
    content = TINY.read_bytes()
    (here / "half.tflite").write_bytes(content[: len(content) // 2])
    assert_refused(
        here,
        command,
        "half.tflite: cut off or damaged: 4 bytes at 3456, but it has only 1782; copy it "
        "again, or export it again",
    )


@pytest.mark.parametrize(
    "command", ["evaluate models coco", "benchmark models", "predict models coco --out out"]
)
def test_an_export_directory_without_manifest(here: Path, command: str) -> None:
    (here / "models").mkdir()
    shutil.copy(TINY, here / "models" / "cells_float32.tflite")
    assert_refused(
        here,
        command,
        "models: not a model: neither a run directory (no config.toml) nor an export directory "
        "(no manifest.json); name one of these or a .tflite file",
    )


@pytest.mark.parametrize(
    "command",
    ["train coco --out file", "train coco --out file/run", "demo --out file"],
)
def test_an_output_directory_that_is_a_file(here: Path, command: str) -> None:
    (here / "file").write_text("mine")
    result = invoke(command)
    assert result.exit_code == 1
    assert re.fullmatch(r"Error: \S*file\S*: [^\n]*\n", result.stderr), result.stderr
    assert "unexpected" not in result.stderr
    assert (here / "file").read_text() == "mine"


@pytest.mark.parametrize(
    "command, message",
    [
        ("traim coco", "no such command 'traim'; did you mean 'train'?"),
        ("train coco", "Missing option '--out'."),
        ("train coco --out out --epochs 3", "No such option '--epochs'."),
        ("evaluate model.tflite", "Missing argument 'DATA'."),
        ("doctor coco --prove", "--prove goes with a RUN, without --quantization"),
    ],
)
def test_wrong_usage(here: Path, command: str, message: str) -> None:
    before = state(here)
    result = invoke(command)
    assert result.exit_code == 2
    assert result.stderr.splitlines()[-1].startswith(f"Error: {message}")
    assert result.stdout == ""
    assert state(here) == before


@pytest.mark.parametrize(
    "command, message",
    [
        ("train coco --out out --seed -1", "'--seed': -1 is not in the range 0<="),
        ("quantize run --method int4", "'--method': 'int4' is not one of 'qat', 'ptq'."),
        ("convert coco --to pascal --out out", "'--to': 'pascal' is not one of 'voc', 'coco', "),
        ("predict m.tflite a.jpg --out out --score 2", "'--score': 2.0 is not in the range 0<="),
        ("evaluate model.tflite coco --json coco", "'--json': File 'coco' is a directory."),
        ("anchors coco --image-size 3.5", "'--image-size': '3.5' is neither a number nor "),
        ("export run --out out --precision int4", "'--precision': 'int4' is not one of float32, "),
        ("export run --out out --target tpu", "'--target': 'tpu' is not one of cpu, gpu, npu, "),
        ("export run --out out --decoder java", "'--decoder': 'java' is no language; allowed: "),
        ("decoder m.tflite --language c", "'--language': 'c' is no language; allowed: cpp, "),
    ],
)
def test_a_value_that_an_option_cannot_take_is_one_line(
    here: Path, command: str, message: str
) -> None:
    """Click would print three lines more and exit with 2, unlike the library's own checks."""
    before = state(here)
    result = invoke(command)
    assert result.exit_code == 1
    assert result.stderr.startswith(f"Error: Invalid value for {message}")
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""
    assert state(here) == before


def test_a_decoder_for_files_with_nms_is_refused_before_the_run_is_opened(here: Path) -> None:
    before = state(here)
    result = invoke("export no-such-run --out out --decoder cpp")
    assert result.exit_code == 1
    assert result.stderr == (
        "Error: decoding and NMS are inside the files for cpu, so there is nothing to write a "
        "decoder for; add --no-nms or another --target, or leave out --decoder\n"
    )
    assert state(here) == before

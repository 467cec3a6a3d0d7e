from __future__ import annotations

import json
import re
from pathlib import Path

from click.testing import CliRunner

from edge_retina.cli.inspect import _tensor, command
from edge_retina.cli.main import main
from edge_retina.export.metadata import with_metadata
from edge_retina.runtime.graph import TensorInfo
from tests.compilers.fake_python import flat_picture, network, write_fake

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "tiny_float32.tflite"


def test_a_detector_with_metadata(tmp_path: Path) -> None:
    path = tmp_path / "tiny.tflite"
    path.write_bytes(with_metadata(GOLDEN.read_bytes(), labels=["a", "b"], name="tiny"))
    done = CliRunner().invoke(command, [str(path)])
    assert done.exit_code == 0, done.output
    lines = [line.split() for line in done.output.splitlines()]
    assert done.output.startswith(f"{path}: 5 kB, 0.0 million MACs")
    assert ["input", "[1,32,32,3]", "float32", "serving_default_image:0"] in lines
    assert ["ADD", "5"] in lines
    assert ["name", "tiny"] in lines
    assert ["MediaPipe", "Tasks", "ObjectDetector", "yes"] in lines
    assert ["XNNPACK", "13", "of", "13", "measured;", "1", "partition"] in lines


def test_scale_and_zero_point_of_an_integer_tensor() -> None:
    tensor = TensorInfo("image", (1, 8, 8, 3), "uint8", (0.0078125,), (128,), 0, False, True)
    assert _tensor("input", tensor) == (
        *("input", "[1,8,8,3]", "uint8", "0.0078125", "128", "image"),
    )


def test_why_a_client_refuses() -> None:
    done = CliRunner().invoke(command, [str(GOLDEN)])
    (line,) = (x for x in done.output.splitlines() if x.startswith("MediaPipe Tasks"))
    assert re.search(r"  no  +no metadata; export the model with 'edge-retina export'$", line)


def test_json_on_standard_output_is_nothing_but_json() -> None:
    done = CliRunner().invoke(command, [str(GOLDEN), "--json", "-"])
    document = json.loads(done.stdout)
    assert document["path"] == str(GOLDEN)
    assert document["xnnpack"]["partitions"] == 1


def test_a_broken_file_is_one_line_and_exit_code_1(tmp_path: Path) -> None:
    path = tmp_path / "cut.tflite"
    path.write_bytes(GOLDEN.read_bytes()[:1000])
    done = CliRunner().invoke(main, ["inspect", str(path)])
    assert done.exit_code == 1
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith(f"Error: {path}: ")
    assert "copy it again" in done.stderr


def test_what_compilers_say_in_text_and_in_json(tmp_path: Path) -> None:
    python = write_fake(tmp_path, compiled=network("ethos-u", "narrow"))
    path = tmp_path / "net.tflite"
    path.write_bytes(network("wide", "narrow"))
    asked = ["--compiler", "vela:ethos-u55-128", "--compiler-python", str(python)]
    done = CliRunner().invoke(main, ["inspect", str(path), *asked, "--json", str(tmp_path / "j")])
    assert done.exit_code == 0, done.output
    (line,) = (x for x in done.output.splitlines() if x.startswith("vela:ethos-u55-128"))
    assert re.split(r"  +", line) == [
        "vela:ethos-u55-128",
        "1 of 2",
        "87%",
        "25.07",
        "SRAM 1.05 MB, off-chip flash 705 kB",
        "ethos-u-vela 5.2.0; Ethos_U55_Deep_Embedded, Shared_Sram, 200 MHz; on the CPU, not in the "
        "estimate: CONV_2D",
    ]
    (report,) = json.loads((tmp_path / "j").read_text())["compilers"]
    assert report["macs_share"] == 6912 / 7936
    assert (report["package"], report["version"]) == ("ethos-u-vela", "5.2.0")
    assert report["configuration"] == "ethos-u55-128"


def test_targets_are_judged_by_their_rules_without_a_compiler(tmp_path: Path) -> None:
    path = tmp_path / "net.tflite"
    path.write_bytes(network("wide", "narrow"))
    done = CliRunner().invoke(main, ["inspect", str(path), "--json", str(tmp_path / "j")])
    rows = [re.split(r"  +", line.strip()) for line in done.output.splitlines()]
    assert ["ethos-u", "all", "100%", "estimated"] in rows
    assert ["micro", "all", "100%", "estimated"] in rows
    targets = json.loads((tmp_path / "j").read_text())["targets"]
    assert [item["target"] for item in targets] == ["gpu", "npu", "edgetpu", "ethos-u", "micro"]
    done = CliRunner().invoke(main, ["inspect", str(GOLDEN)])
    rows = [re.split(r"  +", line.strip()) for line in done.output.splitlines()]
    (row,) = (row for row in rows if row[0] == "ethos-u")
    assert row[1:3] == ["0 of 13", "0%"]
    assert row[3].startswith("estimated; ")
    assert "float32" in row[3]


def test_the_arena_and_a_refusal(tmp_path: Path) -> None:
    path = tmp_path / "net.tflite"
    path.write_bytes(flat_picture())
    python = write_fake(tmp_path, off=1)
    done = CliRunner().invoke(main, ["inspect", str(path), "--arena", *compilers_of(python)])
    assert "arena 251 kB, activations in it 138 kB, persistent in it 113 kB" in done.output
    assert "outputs on noise within 1 step of those of LiteRT's" in done.output
    python = write_fake(tmp_path, fails=(1, "", "Didn't find op\nTraceback (most recent call"))
    done = CliRunner().invoke(main, ["inspect", str(path), "--arena", *compilers_of(python)])
    assert done.exit_code == 0
    assert "0.dev20261023182759 refuses it: Didn't find op" in done.output


def compilers_of(python: Path) -> list[str]:
    return ["--compiler-python", str(python)]


def test_a_missing_compiler_is_one_line_before_any_work(tmp_path: Path) -> None:
    python = write_fake(tmp_path, versions={})
    asked = ["--compiler", "vela:ethos-u55-128", *compilers_of(python)]
    done = CliRunner().invoke(main, ["inspect", str(tmp_path / "no file"), *asked])
    assert done.exit_code == 1
    assert done.stderr.count("\n") == 1
    assert "has no package ethos-u-vela; install it beside" in done.stderr
    assert done.stdout == ""


def test_options_that_need_a_compiler_or_clash_with_it() -> None:
    for options in (["--compiler-python", "python"], ["--profile", "--arena"]):
        done = CliRunner().invoke(main, ["inspect", str(GOLDEN), *options])
        assert done.exit_code == 2
        assert "--compiler" in done.stderr

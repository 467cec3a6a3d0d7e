from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner

from edge_retina.cli.inspect import command
from edge_retina.cli.main import main
from edge_retina.export.metadata import with_metadata

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "tiny_float32.tflite"


def test_a_detector_with_metadata(tmp_path: Path) -> None:
    path = tmp_path / "tiny.tflite"
    path.write_bytes(with_metadata(GOLDEN.read_bytes(), labels=["a", "b"], name="tiny"))
    done = CliRunner().invoke(command, [str(path)])
    assert done.exit_code == 0, done.output
    lines = done.output.splitlines()
    assert lines[0].startswith(f"{path}: 0.00 MB, 0.0 million MACs")
    assert "  input   [1,32,32,3] float32  serving_default_image:0" in lines
    assert "      5 ADD" in lines
    assert "  name: tiny" in lines
    assert "  yes  MediaPipe Tasks ObjectDetector" in lines
    assert "  XNNPACK   13 of 13 operators in 1 partition (measured)" in lines


def test_why_a_client_refuses() -> None:
    done = CliRunner().invoke(command, [str(GOLDEN)])
    assert (
        "  no   MediaPipe Tasks ObjectDetector: no metadata; export the model with "
        "'edge-retina export'"
    ) in done.output.splitlines()


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

from __future__ import annotations

import json
import re
from pathlib import Path

from click.testing import CliRunner

from edge_retina.cli.inspect import _tensor, command
from edge_retina.cli.main import main
from edge_retina.export.metadata import with_metadata
from edge_retina.runtime.graph import TensorInfo

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

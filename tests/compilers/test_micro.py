from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge_retina.compilers import micro
from edge_retina.compilers.other_python import OtherPython
from edge_retina.errors import CompilerError
from tests.compilers.fake_python import flat_picture, network, write_fake

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "tiny_float32.tflite"


def model(directory: Path) -> Path:
    path = directory / "flat.tflite"
    path.write_bytes(flat_picture())
    return path


@pytest.mark.parametrize("off", [0, 2])
def test_the_arena_and_the_difference_from_litert(tmp_path: Path, off: int) -> None:
    python = OtherPython(write_fake(tmp_path, off=off))
    report = micro.examine(model(tmp_path), "", python, "0.dev1")
    assert report.memory_bytes == {
        "arena": 251168,
        "activations in it": 138240,
        "persistent in it": 112928,
    }
    assert report.output_steps == off
    assert (report.operators, report.operators_total) == (1, 1)
    assert report.title == "tflite-micro"


def test_pictures_go_in_and_outputs_come_back_one_by_one(tmp_path: Path) -> None:
    pictures = np.random.default_rng(3).integers(-128, 128, (4, 1, 8, 8, 3), np.int8)
    run = micro.run_micro(model(tmp_path), [pictures], OtherPython(write_fake(tmp_path)))
    (outputs,) = run.outputs
    np.testing.assert_array_equal(outputs, pictures.reshape(4, 1, 192))
    (expected,) = micro.run_litert(tmp_path / "flat.tflite", [pictures])
    np.testing.assert_array_equal(expected, outputs)


def test_outputs_in_float_have_no_steps() -> None:
    graph = micro.read_graph(GOLDEN)
    assert micro._steps(graph, [np.zeros(1)], [np.ones(1)]) is None


def test_noise_spans_the_whole_range_of_the_input(tmp_path: Path) -> None:
    (tensor,) = micro.read_graph(model(tmp_path)).input_tensors
    noise = micro._noise(tensor, 0)
    assert (noise.dtype, noise.shape) == (np.int8, (1, 1, 8, 8, 3))
    assert noise.min() < -100
    assert noise.max() > 100


def test_the_arena_that_is_given_holds_every_tensor_at_once(tmp_path: Path) -> None:
    path = tmp_path / "net.tflite"
    path.write_bytes(network("wide"))  # 8*8*3 and 8*8*4 bytes are computed
    assert micro._ample_arena(micro.read_graph(path)) == 192 + 256 + 4096 + 4_000_000


@pytest.mark.parametrize(
    "fails, refused",
    [
        (
            (
                1,
                "",
                "Input type UINT8 (3) not supported.\nNode CAST (number 0) failed to invoke with "
                "status 1\nTraceback (most recent call last):\nRuntimeError: failed.\n",
            ),
            "Input type UINT8 (3) not supported.; Node CAST (number 0) failed to invoke with "
            "status 1",
        ),
        ((1, "", "Traceback (most recent call last):\nValueError: odd\n"), "ValueError: odd"),
    ],
)
def test_why_it_refuses_a_file(tmp_path: Path, fails: tuple[int, str, str], refused: str) -> None:
    report = micro.examine(
        model(tmp_path), "", OtherPython(write_fake(tmp_path, fails=fails)), "0.dev1"
    )
    assert report.refused == refused
    assert (report.operators, report.operators_total, report.memory_bytes) == (0, 1, {})


def test_a_crash_is_a_refusal_with_the_signal() -> None:
    assert micro._reason("", -11) == "it crashed (signal 11)"


def test_an_interpreter_that_no_longer_tells_its_arena(tmp_path: Path) -> None:
    python = OtherPython(write_fake(tmp_path, allocations="all is well\n"))
    with pytest.raises(CompilerError, match="does not tell its arena"):
        micro.examine(model(tmp_path), "", python, "9")


def test_it_has_no_configurations(tmp_path: Path) -> None:
    with pytest.raises(CompilerError, match="it has no configurations"):
        micro.check("cortex-m4", OtherPython(write_fake(tmp_path)))
    assert micro.check("", OtherPython(write_fake(tmp_path))) == "0.dev20261023182759"

"""The real compilers, where they are installed: `make test-clients` makes their environment."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from edge_retina.compilers.micro import _CHILD, run_litert, run_micro
from edge_retina.compilers.other_python import OtherPython
from edge_retina.compilers.table import prepare
from edge_retina.runtime.graph import read_graph
from tests.clients.environments import ENVIRONMENTS
from tests.compilers.fake_python import network

VARIABLE = "EDGE_RETINA_COMPILER_PYTHON"
PYTHON = Path(os.environ.get(VARIABLE) or ENVIRONMENTS / "compilers" / "bin" / "python")
GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "tiny_uint8.tflite"

pytestmark = pytest.mark.skipif(
    not PYTHON.exists(),
    reason=f"no Python with ethos-u-vela and tflite-micro; name it in {VARIABLE}",
)


def test_vela_puts_two_convolutions_on_the_npu(tmp_path: Path) -> None:
    path = tmp_path / "net.tflite"
    path.write_bytes(network("wide", "narrow"))
    texts = ["vela:ethos-u55-128", "vela:ethos-u65-256"]
    for request in prepare(texts, OtherPython(PYTHON)):
        report = request.examine(path)
        assert report.refused == ""
        assert (report.operators, report.operators_total, report.macs_share) == (2, 2, 1.0)
        assert report.estimated_ms is not None
        assert 0 < report.estimated_ms < 1
        assert 0 < report.memory_bytes["SRAM"] < 10_000


def test_vela_leaves_decoding_to_the_cpu() -> None:
    (request,) = prepare(["vela:ethos-u55-128"], OtherPython(PYTHON))
    report = request.examine(GOLDEN)
    assert (report.operators, report.macs_share) == (0, 0.0)
    assert report.left[0] == "CAST"


def test_micro_runs_two_convolutions_as_litert_does(tmp_path: Path) -> None:
    path = tmp_path / "net.tflite"
    path.write_bytes(network("wide", "narrow"))
    (request,) = prepare(["tflite-micro"], OtherPython(PYTHON))
    report = request.examine(path)
    assert report.refused == ""
    assert report.output_steps == 0
    parts = ("activations in it", "persistent in it")
    assert report.memory_bytes["arena"] == sum(report.memory_bytes[part] for part in parts)
    # The picture and two maps: two neighbours are there at a time, 192 + 256 and 256 + 256 bytes
    assert report.memory_bytes["activations in it"] == 512


def test_the_arena_that_is_told_is_the_smallest_that_works(tmp_path: Path) -> None:
    path = tmp_path / "net.tflite"
    path.write_bytes(network("wide", "narrow"))
    pictures = np.zeros((1, *read_graph(path).input_tensors[0].shape), np.int8)
    told = run_micro(path, [pictures], OtherPython(PYTHON)).memory_bytes
    assert told is not None
    np.savez(tmp_path / "in.npz", pictures)
    works = []
    # While it starts, a network as small as this takes some hundred bytes more for a moment
    for more in (1024, -64):
        call = ["-c", _CHILD.read_text(encoding="utf-8"), str(path), str(told["arena"] + more)]
        call += [str(tmp_path / "in.npz"), str(tmp_path / "out.npz"), "1"]
        works.append(OtherPython(PYTHON).run(call, directory=tmp_path).returncode == 0)
    assert works == [True, False]


def test_micro_gives_back_what_it_was_given_in_order(tmp_path: Path) -> None:
    path = tmp_path / "net.tflite"
    path.write_bytes(network("wide"))
    shape = read_graph(path).input_tensors[0].shape
    pictures = np.random.default_rng(0).integers(-5, 5, (3, *shape), np.int8)
    found = run_micro(path, [pictures], OtherPython(PYTHON)).outputs
    expected = run_litert(path, [pictures])
    np.testing.assert_array_equal(found, expected)
    assert len(np.unique(found[0])) > 10


def test_micro_says_which_operator_it_can_not_run() -> None:
    (request,) = prepare(["tflite-micro"], OtherPython(PYTHON))
    assert "Node CAST" in request.examine(GOLDEN).refused

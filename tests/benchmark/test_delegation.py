"""Proof of execution: what a delegate took, and a benchmark that fails if it fell back."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from edge_retina.benchmark.backends import BUILTIN, GPU, KERAS, XNNPACK
from edge_retina.benchmark.candidate import Candidate
from edge_retina.benchmark.delegation import RequiredDelegate, fallback_text
from edge_retina.benchmark.task import WorkerResult
from edge_retina.cli.main import main
from edge_retina.errors import BenchmarkError
from edge_retina.runtime.ops import DelegateInfo, LeftOperators, network_operators

GATHER = LeftOperators("GATHER", 6, 0, "XNNPACK has no such operator")
CONV = LeftOperators("CONV_2D", 2, 1, "reason not told")


def candidate(backend: str) -> Candidate:
    return Candidate(Path("a.tflite"), file=Path("a"), family="a", backend=backend, threads=1)


def result(delegate: DelegateInfo | None) -> WorkerResult:
    return WorkerResult(
        init_ms=1.0,
        preprocess_ms=(0.0,),
        inference_ms=(1.0,),
        postprocess_ms=(0.0,),
        peak_memory_mb=None,
        precision="int8",
        # As it comes back from a worker: through JSON
        delegate=None if delegate is None else json.loads(json.dumps(dataclasses.asdict(delegate))),
    )


@pytest.mark.parametrize(
    "required, found, message",
    [
        ("xnnpack", DelegateInfo("xnnpack", 1, 16, 16), ""),
        ("xnnpack", DelegateInfo("xnnpack", 3, 14, 20, (GATHER,)), "6 of 20 operators run outside"),
        ("xnnpack:network", DelegateInfo("xnnpack", 3, 14, 20, (GATHER,)), ""),
        (
            "xnnpack:network",
            DelegateInfo("xnnpack", 3, 12, 20, (GATHER, CONV)),
            "2 of 20 operators run outside xnnpack: CONV_2D x2 (reason not told)",
        ),
        (
            "xnnpack:network",
            DelegateInfo("xnnpack", 0, 0, 6, (GATHER,)),
            "xnnpack took none of the 6 operators: GATHER x6 (XNNPACK has no such operator)",
        ),
        ("xnnpack", DelegateInfo("xnnpack", 0, 0, 0), "xnnpack took none of the 0 operators"),
        # Operators that aren't named may be anywhere
        ("xnnpack:network", DelegateInfo("xnnpack", 1, 10, 16), "6 of 16 operators run outside"),
        ("xnnpack", None, "whether it ran anything is not told there"),
    ],
)
def test_what_counts_as_a_fall_back(
    required: str, found: DelegateInfo | None, message: str
) -> None:
    demand = RequiredDelegate.parse(required)
    if not message:
        demand.check(candidate(XNNPACK), result(found))
        return
    with pytest.raises(BenchmarkError) as caught:
        demand.check(candidate(XNNPACK), result(found))
    assert str(caught.value).startswith("a.tflite, tflite-xnnpack, 1 thread: xnnpack was required,")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_operators_with_the_same_reason_stand_together() -> None:
    cast = LeftOperators("CAST", 1, 0, GATHER.reason)
    found = DelegateInfo("xnnpack", 1, 13, 22, (GATHER, CONV, cast))
    assert fallback_text(found, network=False) == (
        "9 of 22 operators run outside xnnpack: GATHER x6, CAST (XNNPACK has no such operator); "
        "CONV_2D x2 (reason not told)"
    )


def test_only_the_decoding_outside_is_told_apart() -> None:
    hint = "the network itself is inside: to allow decoding outside write --require-delegate xnnpa"
    demand = RequiredDelegate("xnnpack")
    for left, hinted in (((GATHER,), True), ((GATHER, CONV), False)):
        count = sum(item.count for item in left)
        found = DelegateInfo("xnnpack", 1, 20 - count, 20, left)
        with pytest.raises(BenchmarkError) as caught:
            demand.check(candidate(XNNPACK), result(found))
        assert (hint in str(caught.value)) == hinted


def test_other_backends_are_not_asked() -> None:
    for backend in (BUILTIN, KERAS, GPU):
        RequiredDelegate("xnnpack").check(candidate(backend), result(None))


@pytest.mark.parametrize(
    "text, message",
    [
        ("xnpack", "--require-delegate xnpack: no delegate 'xnpack'; did you mean 'xnnpack'?"),
        ("xnnpack:all", "'all' is no part of a graph; write xnnpack for the whole graph or xnnp"),
        ("", "no delegate ''; allowed: gpu, nnapi, xnnpack"),
    ],
)
def test_what_is_no_delegate(text: str, message: str) -> None:
    with pytest.raises(BenchmarkError) as caught:
        RequiredDelegate.parse(text)
    assert message in str(caught.value)


def test_a_benchmark_fails_when_xnnpack_left_an_operator(tiny: list[Path]) -> None:
    """The interpreter that was timed says so: the tiny int8 model begins with a CAST."""
    brief = ["--rounds", "1", "--runs", "1", "--min-seconds", "0", "--max-warmup", "0"]
    arguments = ["benchmark", str(tiny[1]), *brief, "--require-delegate"]
    failed = CliRunner().invoke(main, [*arguments, "xnnpack"])
    assert failed.exit_code == 1
    assert failed.stdout == ""
    assert failed.stderr.splitlines()[-1].startswith(
        f"Error: {tiny[1]}, tflite-xnnpack, 1 thread: xnnpack was required, but 1 of 16 operators "
        "run outside xnnpack: CAST (XNNPACK has no such operator)"
    )
    assert CliRunner().invoke(main, [*arguments, "xnnpack:network"]).exit_code == 0
    arguments[1] = str(tiny[0])  # XNNPACK takes all of the float one
    assert CliRunner().invoke(main, [*arguments, "xnnpack"]).exit_code == 0


def test_a_delegate_that_nothing_uses_is_refused_at_once(tiny: list[Path]) -> None:
    found = CliRunner().invoke(main, ["benchmark", str(tiny[0]), "--require-delegate", "gpu"])
    assert found.stderr == (
        "Error: --require-delegate gpu: nothing that is measured uses it (delegates used: none, "
        "xnnpack); name a .tflite file and a device that has gpu\n"
    )


def test_the_network_lies_between_the_first_weights_and_the_last() -> None:
    """quantize -> conv -> relu -> fpn resize -> conv -> decode; a constant's cast comes aside."""
    operators = [
        ("QUANTIZE", [0], [1]),
        ("CONV_2D", [1, 90], [2]),
        ("CAST", [80], [81]),
        ("RELU", [2], [3]),
        ("RESIZE_BILINEAR", [3, 91], [4]),
        ("DEPTHWISE_CONV_2D", [4, 92], [5]),
        ("GATHER", [5, 81], [6]),
    ]
    assert network_operators(operators) == {1, 3, 4, 5}
    assert network_operators(operators[2:5]) == set()
    assert network_operators([]) == set()

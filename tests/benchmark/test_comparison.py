from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from edge_retina.benchmark.candidate import Candidate
from edge_retina.benchmark.comparison import (
    compare_results,
    compare_with_float,
    teams_of,
    with_slow_int8_warnings,
)
from edge_retina.benchmark.environment import Environment, read_environment
from edge_retina.benchmark.results import BenchmarkResult, SamplesMs
from edge_retina.benchmark.rounds import join_rounds
from edge_retina.benchmark.task import WorkerResult
from edge_retina.benchmark.warmup import Warmup
from edge_retina.benchmark.warnings import warnings_by_code

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "tiny_uint8.tflite"
QUIET = Environment("cpu", 4, None, "Linux", "x86_64", "3.11", {}, load_average=0.1)


def candidate(name: str, *, backend: str = "tflite-xnnpack", threads: int = 1) -> Candidate:
    return Candidate(
        path=Path(name),
        file=GOLDEN,
        family=name.partition("_")[0],
        backend=backend,
        threads=threads,
    )


def measured(inference_ms: tuple[float, ...], precision: str = "float32") -> WorkerResult:
    number = len(inference_ms)
    return WorkerResult(
        init_ms=10.0,
        preprocess_ms=(1.0,) * number,
        inference_ms=inference_ms,
        postprocess_ms=(0.5,) * number,
        peak_memory_mb=50.0,
        precision=precision,
        delegate=None,
    )


def result(
    item: Candidate, *rounds: WorkerResult, environment: Environment = QUIET
) -> BenchmarkResult:
    return join_rounds(
        item, rounds, sha256="", label=item.backend, environment=environment, accuracy=None
    )


def test_rounds_are_joined_in_their_order() -> None:
    first, second = measured((4.0, 6.0)), measured((8.0, 10.0))
    second = dataclasses.replace(second, init_ms=30.0, peak_memory_mb=70.0)
    joined = result(candidate("a_float32"), first, second)
    assert joined.latency_ms.samples == (5.5, 7.5, 9.5, 11.5)  # the sum of the stages
    assert joined.stages_ms.inference == 7.0
    assert (joined.stages_ms.preprocess, joined.stages_ms.postprocess) == (1.0, 0.5)
    assert (joined.init_ms, joined.peak_memory_mb) == (20.0, 70.0)


def test_int8_is_compared_with_the_float_model_of_its_family() -> None:
    items = [
        candidate("a_float32"),
        candidate("b_float32"),
        candidate("a_int8"),
        candidate("a_int8", backend="tflite-builtin"),
        candidate("a_int8", threads=2),
    ]
    speeds = (8.5, 100.0, 2.5, 1.0, 1.0)
    results = [
        result(item, *[measured((speed,), item.model.partition("_")[2])] * 2)
        for item, speed in zip(items, speeds, strict=True)
    ]
    (comparison,) = compare_with_float(items, results)
    assert (comparison.model, comparison.reference) == ("a_int8", "a_float32")
    assert comparison.ratio == pytest.approx(4.0 / 10.0)
    assert (comparison.rounds, comparison.verdict) == (2, "faster")


def test_keras_is_compared_with_float32_under_xnnpack() -> None:
    items = [
        candidate("a_float32", backend="tflite-builtin"),
        candidate("a_float32"),
        candidate("a", backend="keras"),
    ]
    results = [
        result(item, measured((speed,))) for item, speed in zip(items, (1, 8.5, 18.5), strict=True)
    ]
    (comparison,) = compare_with_float(items, results)
    assert (comparison.backend, comparison.reference_backend) == ("keras", "tflite-xnnpack")
    assert comparison.ratio == pytest.approx(2.0)
    assert comparison.verdict == "no difference shown"  # one round can't show any


@pytest.mark.parametrize(
    "int8_ms, verdict",
    [((11.0, 11.1, 11.0), "slower"), ((2.0, 30.0, 11.0), "no difference shown")],
)
def test_a_slower_int8_model_is_said_to_be(int8_ms: tuple[float, ...], verdict: str) -> None:
    items = [candidate("a_float32"), candidate("a_int8")]
    results = [
        result(items[0], *[measured((8.5,))] * 3),
        result(items[1], *[measured((value,), "int8") for value in int8_ms]),
    ]
    comparisons = compare_with_float(items, results)
    assert comparisons[0].verdict == verdict
    float32, int8 = with_slow_int8_warnings(results, comparisons)
    assert float32.warnings == ()
    slower = [warning.text for warning in int8.warnings if warning.code == "int8-slower"]
    assert len(slower) == (verdict == "slower")
    if slower:
        assert slower[0].startswith(
            "int8 with tflite-xnnpack and 1 thread takes 1.25 times as long as float32"
        )


def test_a_noisy_machine_is_said_to_be() -> None:
    (warning,) = result(candidate("a_float32"), measured((1.0, 1.0, 1.0, 9.0))).warnings
    assert warning.code == "noisy"
    assert warning.text.startswith("noisy: the standard deviation is ")
    assert result(candidate("a_float32"), measured((1.0, 1.0, 1.1, 1.0))).warnings == ()


def test_other_work_and_too_many_threads_are_told() -> None:
    busy = dataclasses.replace(QUIET, load_average=1.7)
    item = result(candidate("a_float32", threads=8), measured((1.0,)), environment=busy)
    document = item.to_dict()
    assert document["warning_codes"] == ["busy", "oversubscribed"]
    assert document["warnings"] == [
        "the machine was busy before the start: load average 1.7 on 4 cores",
        "more threads than cores: 8 on 4",
    ]


def test_a_clock_that_may_change_is_told() -> None:
    policies = (None, "performance", "schedutil")
    items = [
        result(
            candidate("a_float32"),
            measured((1.0,)),
            environment=dataclasses.replace(QUIET, governor=policy),
        )
        for policy in policies
    ]
    assert [item.to_dict()["warning_codes"] for item in items] == [[], [], ["governor"]]
    assert items[2].warnings[0].text.startswith("the clock policy is 'schedutil', so that")


def test_times_that_still_drift_are_told_with_the_worst_round() -> None:
    rounds = [
        dataclasses.replace(measured((1.0,)), warmup=Warmup(9, 4.0, 1.0, drift))
        for drift in (0.02, None, 0.005, 0.034)
    ]
    (warning,) = result(candidate("a_float32"), *rounds).warnings
    assert warning.code == "drifting"
    assert warning.text.startswith(
        "still drifting after the warm-up in 2 of 4 rounds: by 3.4% after 4 s, 1% is allowed"
    )


def test_a_processor_that_is_throttled_is_told() -> None:
    """10 ms (and 1.5 of the other stages), then 10.7: 6 % more in the last third."""
    slower = measured((10.7,) * 20)
    (warning,) = result(candidate("a_float32"), measured((10.0,) * 20), slower).warnings
    assert warning.code == "throttled"
    assert "the last third of the detections took 6% longer than the first" in warning.text
    assert (
        result(candidate("a_float32"), measured((10.0,) * 20), measured((10.4,) * 20)).warnings
        == ()
    )
    assert (
        result(candidate("a_float32"), measured((10.0,) * 14), measured((10.7,) * 15)).warnings
        == ()
    )


def test_what_others_took_is_no_throttling() -> None:
    disturbed = dataclasses.replace(measured((10.7,) * 20), lost_ms=(0.7,) * 20)
    assert result(candidate("a_float32"), measured((10.0,) * 20), disturbed).warnings == ()


def test_programs_that_run_meanwhile_are_told() -> None:
    rounds = [
        dataclasses.replace(measured((1.0,)), other_load=load, lost_ms=(0.3,))
        for load in (0.1, None, 0.9)
    ]
    item = result(candidate("a_float32"), *rounds)
    assert item.other_load == pytest.approx(0.5)
    (warning,) = item.warnings
    assert (warning.code, warning.text) == (
        "load",
        "other programs kept 0.5 of 4 cores busy meanwhile and had 12% of the measured time "
        "(ratios leave it out); close them",
    )
    assert result(candidate("a_float32"), rounds[0]).warnings == ()


def test_every_sample_keeps_its_stages_and_its_turn() -> None:
    rounds = [
        dataclasses.replace(measured((4.0, 6.0, 8.0)), blocks=(2, 1), lost_ms=(0.0, 0.5, 0.0)),
        dataclasses.replace(measured((5.0,)), blocks=(1,), lost_ms=(0.0,)),
    ]
    samples = result(candidate("a_float32"), *rounds).samples_ms
    assert samples == SamplesMs(
        preprocess=(1.0,) * 4,
        inference=(4.0, 6.0, 8.0, 5.0),
        postprocess=(0.5,) * 4,
        lost=(0.0, 0.5, 0.0, 0.0),
        turns=((2, 1), (1,)),
    )


def test_turns_are_compared_without_what_others_took() -> None:
    """By hand, 1.5 ms of other stages included: turns of 4 and 8 ms against 2 and 4."""
    ours = dataclasses.replace(measured((2.5, 9.5, 6.5)), blocks=(2, 1), lost_ms=(0.0, 7.0, 0.0))
    theirs = dataclasses.replace(
        measured((0.5, 90.5, 2.5, 2.5)), blocks=(2, 2), lost_ms=(0.0, 90.0, 0.0, 0.0)
    )
    items = [result(candidate("a_int8"), ours), result(candidate("a_float32"), theirs)]
    assert compare_results(*items).value == pytest.approx(2.0)


def test_those_that_are_compared_take_turns() -> None:
    items = [
        candidate("a_float32"),
        candidate("a_int8", backend="tflite-builtin"),
        candidate("b_float32"),
        candidate("a_run", backend="keras"),
        candidate("a_int8"),
        candidate("a_int8", threads=2),
    ]
    assert teams_of(items) == [[0, 3, 4], [1], [2], [5]]


def test_warnings_are_grouped_by_their_code() -> None:
    busy = dataclasses.replace(QUIET, load_average=1.7)
    noisy = [measured((1.0, 1.0, 1.0, worst)) for worst in (5.0, 9.0)]
    results = [
        result(candidate("a_float32"), noisy[0]),
        result(candidate("a_int8"), noisy[1], environment=busy),
        result(candidate("b_int8"), measured((1.0,))),
    ]
    documents = [item.to_dict() for item in results]
    grouped = warnings_by_code(documents)
    assert {code: len(texts) for code, texts in grouped.items()} == {"noisy": 2, "busy": 1}
    first, second = grouped["noisy"]
    assert first != second  # the texts differ by a number, so they can't be the group
    assert documents[0]["warnings"] == [first]


def test_warnings_without_codes_are_grouped_by_their_text() -> None:
    old = [{"warnings": ["noisy: 30%", "x"]}, {"warnings": ["x"]}, {"warnings": []}]
    assert warnings_by_code(old) == {"noisy: 30%": ["noisy: 30%"], "x": ["x", "x"]}


def test_this_machine_has_a_name_and_cores() -> None:
    environment = read_environment()
    assert environment.cpu
    assert environment.cores >= 1
    assert environment.load_average >= 0
    assert set(environment.packages) >= {"numpy", "ai-edge-litert"}

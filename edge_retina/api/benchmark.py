"""`edge_retina.benchmark`."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path

from edge_retina.api.settings import python_errors
from edge_retina.benchmark.delegation import RequiredDelegate
from edge_retina.benchmark.device_options import DeviceOptions
from edge_retina.benchmark.results import BenchmarkReport
from edge_retina.benchmark.runner import open_runner
from edge_retina.benchmark.timing_plan import LEAST_SECONDS, MAX_WARMUP_S, ROUNDS, TimingPlan
from edge_retina.datasets.schema import Dataset
from edge_retina.runtime.foreign_settings import ForeignChoices
from edge_retina.workflow.benchmarking import benchmark_models


def benchmark(
    *models: str | Path,
    data: str | Path | Dataset | None = None,
    split: str = "test",
    threads: Sequence[int] = (1,),
    backends: Sequence[str] = (),
    runs: int | None = None,
    rounds: int = ROUNDS,
    min_seconds: float = LEAST_SECONDS,
    max_warmup: float = MAX_WARMUP_S,
    device: str = "local",
    device_python: str = DeviceOptions.python,
    benchmark_binary: str | Path | None = None,
    require_delegate: str | None = None,
    baseline: str | Path | None = None,
    allow_other_machine: bool = False,
    skip_invalid: bool = False,
    seed: int = 0,
    foreign: ForeignChoices | None = None,
) -> BenchmarkReport:
    """Measure latency, and with `data` mAP, of models side by side, like `edge-retina benchmark`.

    Args:
        models: .tflite files, export directories (all their files) and run directories.
        data: a data set, or its path, to measure mAP on and to take the timed images from.
        split: split of `data`.
        threads: thread counts to measure.
        backends: such as "xnnpack" and "builtin"; all that the device and the model have by
            default.
        runs: timed detections per round, at least.
        rounds: interleaved rounds, every model in a fresh process; intervals need 2 or more.
        min_seconds: time to measure each model, all rounds together, at least.
        max_warmup: how many seconds a warm-up may wait in each round for steady times.
        device: "local", "ssh:..." or "adb..."; see `edge-retina benchmark --help`.
        device_python: Python on an ssh device.
        benchmark_binary: TensorFlow Lite's benchmark_model for an adb device.
        require_delegate: fail unless this delegate ran the whole graph.
        baseline: JSON of an older benchmark, to be shown beside the results.
        allow_other_machine: take a baseline of another machine too.
        skip_invalid: leave invalid images and boxes of `data` out.
        seed: of the generated image without `data`, and of a split by image names.
        foreign: of other frameworks' files.

    Returns:
        The results; `to_dict()` is the command's JSON. If the device was lost on the way, `missing`
        says what could not be measured; it is "" otherwise.

    Raises:
        BenchmarkError: a measurement that can't be made, or not as it was asked for.
        ModelError, RunError: a model can't be opened.
        DatasetError: the data set can't be read, or has no such split.
        EdgeRetinaError: a run directory, and TensorFlow is not installed.
    """
    binary = None if benchmark_binary is None else Path(benchmark_binary)
    options = DeviceOptions(python=device_python, benchmark_binary=binary)
    plan = TimingPlan(rounds=rounds, runs=runs, min_seconds=min_seconds, max_warmup_s=max_warmup)
    plan.check()
    with (
        python_errors("a run directory"),
        contextlib.closing(open_runner(device, options)) as runner,
    ):
        return benchmark_models(
            [Path(model) for model in models],
            runner=runner,
            plan=plan,
            data=data,
            split=split,
            threads=threads,
            backends=backends,
            foreign=foreign,
            baseline=None if baseline is None else Path(baseline),
            allow_other_machine=allow_other_machine,
            require_delegate=RequiredDelegate.parse(require_delegate) if require_delegate else None,
            skip_invalid=skip_invalid,
            seed=seed,
        )

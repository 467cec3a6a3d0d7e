"""`edge-retina benchmark`."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from edge_retina.benchmark.delegation import DELEGATES, NETWORK, RequiredDelegate
from edge_retina.benchmark.device_options import DeviceOptions
from edge_retina.benchmark.runner import device_usages, open_runner
from edge_retina.benchmark.timing_plan import (
    INTERLEAVED,
    LEAST_RUNS,
    LEAST_SECONDS,
    MAX_WARMUP_S,
    QUERIES,
    QUERY_SECONDS,
    ROUNDS,
    SCENARIOS,
    SINGLE_STREAM,
    TimingPlan,
)
from edge_retina.cli.benchmark_files import page_options, write_pages
from edge_retina.cli.data import skip_invalid_option, split_option
from edge_retina.cli.models import foreign_options
from edge_retina.cli.options import STDOUT, debug_option, emit_json, json_option, seed_option
from edge_retina.errors import BenchmarkError
from edge_retina.runtime.foreign_settings import ForeignChoices
from edge_retina.workflow.opening import MOST_THREADS

if TYPE_CHECKING:
    from edge_retina.benchmark.results import (
        BaselineComparison,
        BenchmarkReport,
        BenchmarkResult,
        Comparison,
    )


class Names(click.ParamType):
    """Names such as `xnnpack,builtin`."""

    name = "NAME[,NAME...]"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        """Return the names in the order given, each once."""
        return tuple(dict.fromkeys(text.strip() for text in str(value).split(",") if text.strip()))


class ThreadCounts(click.ParamType):
    """Numbers of threads such as `1,2,4`."""

    name = "N[,N...]"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, ...]:
        """Return the numbers in the order given, each once."""
        texts = str(value).split(",")
        if not all(text.strip().isdecimal() and int(text) > 0 for text in texts):
            self.fail(f"'{value}' is not a list of positive integers such as 1,2", param, ctx)
        counts = tuple(dict.fromkeys(int(text) for text in texts))
        if max(counts) > MOST_THREADS:
            self.fail(f"at most {MOST_THREADS} threads, got {max(counts)}", param, ctx)
        return counts


@click.command("benchmark")
@click.argument(
    "models", metavar="MODEL...", nargs=-1, required=True, type=click.Path(path_type=Path)
)
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="Data set to measure mAP on and to take the timed images from.",
)
@split_option
@click.option(
    "--threads",
    type=ThreadCounts(),
    default="1",
    show_default=True,
    help="Thread counts to measure.",
)
@click.option(
    "--runs",
    type=click.IntRange(min=1),
    help=f"Timed detections per round, at least; else {LEAST_RUNS} in all rounds together.",
)
@click.option(
    "--rounds",
    type=click.IntRange(min=1),
    default=ROUNDS,
    show_default=True,
    help="Interleaved rounds, every model in a fresh process; intervals need 2 or more.",
)
@click.option(
    "--min-seconds",
    type=click.FloatRange(min=0),
    default=LEAST_SECONDS,
    show_default=True,
    help="Time to measure each model, all rounds together, at least.",
)
@click.option(
    "--max-warmup",
    metavar="SECONDS",
    type=click.FloatRange(min=0),
    default=MAX_WARMUP_S,
    show_default=True,
    help="How long a warm-up may wait in each round for the times to drift by less than 1 %; "
    "0 doesn't wait.",
)
@click.option(
    "--scenario",
    type=click.Choice(SCENARIOS),
    default=INTERLEAVED,
    show_default=True,
    help=f"{SINGLE_STREAM}: one process, one picture at a time, at least {QUERIES:,} of them and "
    f"{QUERY_SECONDS:g} seconds; the 90th percentile counts.",
)
@click.option(
    "--baseline",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Show the results beside those that --json wrote to FILE on this machine before.",
)
@click.option(
    "--allow-other-machine",
    is_flag=True,
    help="Also take a --baseline of another machine.",
)
@click.option(
    "--device",
    metavar="DEVICE",
    default="local",
    show_default=True,
    help=f"Device to measure on: {device_usages()}.",
)
@click.option(
    "--backend",
    "backends",
    type=Names(),
    default="",
    help="Backends to measure, e.g. xnnpack,builtin; else all that the device and MODEL have.",
)
@click.option(
    "--device-python",
    metavar="PATH",
    default=DeviceOptions.python,
    show_default=True,
    help="Python on an ssh device, with numpy, opencv-python-headless and ai-edge-litert.",
)
@click.option(
    "--benchmark-binary",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="TensorFlow Lite's benchmark_model for an adb device; else one in /data/local/tmp there.",
)
@click.option(
    "--require-delegate",
    metavar="NAME",
    help=f"Fail unless this delegate ran the whole graph: {', '.join(DELEGATES)}; "
    f"NAME:{NETWORK} lets the decoding run outside.",
)
@foreign_options
@skip_invalid_option
@json_option
@page_options
@seed_option
@debug_option
def command(
    models: tuple[Path, ...],
    data: Path | None,
    split: str,
    threads: tuple[int, ...],
    runs: int | None,
    rounds: int,
    min_seconds: float,
    max_warmup: float,
    scenario: str,
    baseline: Path | None,
    allow_other_machine: bool,
    device: str,
    backends: tuple[str, ...],
    device_python: str,
    benchmark_binary: Path | None,
    require_delegate: str | None,
    foreign: ForeignChoices,
    skip_invalid: bool,
    json_target: str | None,
    html: Path | None,
    markdown: Path | None,
    csv: Path | None,
    title: str,
    seed: int | None,
) -> None:
    """Measure latency, and with --data mAP, of every backend of each MODEL, side by side.

    MODEL is a run directory (Keras), a .tflite file (with XNNPACK and without), or an export
    directory (all its .tflite files). Without --data a generated image is used; on real images NMS
    may cost more or less. --seed is for the generated image, or for splitting data without splits.
    A .tflite file may be another framework's: see docs/foreign.md. --format and the options after
    it are then for all such files.

    Example: edge-retina benchmark runs/demo runs/demo/export --data data/bccd --threads 1,2
    """
    plan = _plan(scenario, runs, rounds, min_seconds, max_warmup)
    required = RequiredDelegate.parse(require_delegate) if require_delegate else None
    options = DeviceOptions(python=device_python, benchmark_binary=benchmark_binary)
    from edge_retina.workflow.benchmarking import FoundObjects, benchmark_models

    found = FoundObjects()
    with contextlib.closing(open_runner(device, options)) as runner:
        report = benchmark_models(
            models,
            runner=runner,
            plan=plan,
            data=data,
            split=split,
            threads=threads,
            backends=backends,
            foreign=foreign,
            baseline=baseline,
            allow_other_machine=allow_other_machine,
            require_delegate=required,
            skip_invalid=skip_invalid,
            seed=seed,
            found=found,
        )
    document = report.to_dict()
    if json_target != STDOUT:
        click.echo(_text(report))
    emit_json(document, json_target)
    differing = None if html is None else found.differing(document)
    write_pages(document, html=html, markdown=markdown, csv=csv, title=title, differing=differing)
    if report.missing:
        raise BenchmarkError(report.missing)


def _plan(
    scenario: str, runs: int | None, rounds: int, min_seconds: float, max_warmup: float
) -> TimingPlan:
    if scenario == INTERLEAVED:
        return TimingPlan(
            rounds=rounds, runs=runs, min_seconds=min_seconds, max_warmup_s=max_warmup
        )
    context = click.get_current_context()
    given = [
        option
        for name, option in (
            ("runs", "--runs"),
            ("rounds", "--rounds"),
            ("min_seconds", "--min-seconds"),
        )
        if context.get_parameter_source(name) is not ParameterSource.DEFAULT
    ]
    if given:
        raise click.UsageError(
            f"--scenario {scenario} has numbers of its own: leave out {' and '.join(given)}"
        )
    return TimingPlan.single_stream(max_warmup_s=max_warmup)


def _text(report: BenchmarkReport) -> str:
    from edge_retina.report.benchmark_document import warning_lines

    rows: list[tuple[str, ...]] = [
        ("model", "backend", "threads", "p50 ms", "p90 ms", "init ms", "MB", "mAP", "mAP50")
    ]
    rows += [_row(result) for result in report.results]
    lines = _aligned(rows)
    if report.scenario == SINGLE_STREAM:
        lines += ["", f"{SINGLE_STREAM}: p90 is the result"]
    if report.comparisons:
        lines += ["", "time relative to float32 .tflite, same threads (95 % interval):"]
        lines += _aligned([_comparison_row(item) for item in report.comparisons])
    if report.baseline:
        lines += ["", "time relative to the baseline, measured at another time (95 % interval):"]
        lines += _aligned([_baseline_row(item) for item in report.baseline])
    lines += ["", *(f"warning: {text}" for text in warning_lines(report.to_dict()["results"]))]
    return "\n".join(lines).rstrip()


def _row(result: BenchmarkResult) -> tuple[str, ...]:
    latency = result.latency_ms
    return (
        result.model,
        result.backend,
        str(result.threads),
        f"mean {latency.mean:.2f}" if latency.p50 is None else f"{latency.p50:.2f}",
        "-" if latency.p90 is None else f"{latency.p90:.2f}",
        f"{result.init_ms:.1f}",
        f"{result.size_bytes / 1e6:.2f}",
        "-" if result.mAP is None else f"{result.mAP:.4f}",
        "-" if result.mAP50 is None else f"{result.mAP50:.4f}",
    )


def _comparison_row(item: Comparison) -> tuple[str, ...]:
    interval = "" if item.low is None else f"{item.low:.2f}..{item.high:.2f}"
    return item.model, item.backend, str(item.threads), f"{item.ratio:.2f}", interval, item.verdict


def _baseline_row(item: BaselineComparison) -> tuple[str, ...]:
    interval = "" if item.low is None else f"{item.low:.2f}..{item.high:.2f}"
    times = [
        "mean only" if value is None else f"{value:.2f} ms"
        for value in (item.before_ms, item.now_ms)
    ]
    return (
        item.model,
        item.backend,
        str(item.threads),
        " -> ".join(times),
        f"{item.ratio:.2f}",
        interval,
        item.verdict,
        "" if item.same_file else "another file of this name",
    )


def _aligned(rows: Sequence[tuple[str, ...]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]

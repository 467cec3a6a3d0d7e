"""Which network fits a latency budget: predicted for all of a grid, measured for the finalists."""

from __future__ import annotations

import dataclasses
import logging
import statistics
import tempfile
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_retina.benchmark.backends import short_name
from edge_retina.benchmark.environment import Environment
from edge_retina.benchmark.noise_image import write_noise_image
from edge_retina.benchmark.runner import Runner
from edge_retina.config import Config
from edge_retina.datasets import Example
from edge_retina.design.choice import Choice, best_within, expected_ms, front_of, predicted
from edge_retina.design.frame import Frame, frame_ms, frames_to_measure
from edge_retina.design.grid import networks
from edge_retina.design.measuring import Bench, Tell
from edge_retina.design.object_fit import few_examples, object_fit
from edge_retina.design.op_table import OpTable, load_table
from edge_retina.errors import BenchmarkError, choices_hint
from edge_retina.files import write_bytes

log = logging.getLogger(__name__)

SCHEMA_VERSION = 1
FILLED = 0.95  # of the budget; a finalist that takes this much ends the search
_SAFE = 0.9  # of the budget, for the last finalist where all others took too long
# Networks that, by their MACs alone, take more than so many budgets are left out: the op table need
# not have their layers, the slowest of all.
_MOST_BUDGETS = 2.0


@dataclass(frozen=True)
class Request:
    """What is asked for.

    Attributes:
        base: gives the fields that the grid does not vary.
        fixed: keys of `grid.AXES` that it does not vary either.
        labels: class names.
        examples: labelled images to judge networks by; empty for none.
        budget_ms: of a whole detection: preparing the picture, network, decoding and NMS.
        backend: short name, e.g. "xnnpack".
        threads: of the interpreter.
        finalists: so many networks are exported and measured at the most.
        out: directory for the files of the finalists.
        table_file: the op table, read if it is there.
    """

    base: Config
    fixed: Collection[str]
    labels: tuple[str, ...]
    examples: Sequence[Example]
    budget_ms: float
    backend: str
    threads: int
    finalists: int
    out: Path
    table_file: Path


@dataclass(frozen=True)
class Design:
    """What was found.

    Attributes:
        device: as `--device` names it.
        environment: of that device.
        backend: short name.
        threads: of the interpreter.
        budget_ms: as asked for.
        choices: all networks that were predicted, the fastest first.
        front: the Pareto front of them.
        chosen: the network to take; its file was measured to be within the budget.
        file: the exported file of `chosen`, with random weights.
        ratio: of measured to predicted times, the geometric mean of the finalists.
        looked_at: networks of the grid before those far beyond the budget were left out.
    """

    device: str
    environment: Environment
    backend: str
    threads: int
    budget_ms: float
    choices: tuple[Choice, ...]
    front: tuple[Choice, ...]
    chosen: Choice
    file: Path
    ratio: float
    looked_at: int
    schema_version: int = SCHEMA_VERSION

    @property
    def measured(self) -> tuple[Choice, ...]:
        """The finalists, the fastest first."""
        return tuple(choice for choice in self.choices if choice.measured_ms is not None)

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON document."""
        titles = {choice.title for choice in self.front}
        return {
            "schema_version": self.schema_version,
            "device": self.device,
            "environment": dataclasses.asdict(self.environment),
            "backend": self.backend,
            "threads": self.threads,
            "budget_ms": self.budget_ms,
            "capacity": "capacity_macs: MACs without the last convolutions of the heads",
            "chosen": self.chosen.title,
            "file": str(self.file),
            "measured_to_predicted": self.ratio,
            "looked_at": self.looked_at,
            "networks": [
                {**choice.to_dict(), "on_front": choice.title in titles} for choice in self.choices
            ],
        }


def search(request: Request, runner: Runner, tell: Tell) -> Design:
    """Find the network of the most capacity that a device runs within a budget.

    Args:
        request: what is asked for.
        runner: the device.
        tell: told what comes next.

    Raises:
        BenchmarkError: the device can't do it, no network is fast enough, or the op table is of
            another machine.
        ConfigError: the base config does not allow it.
    """
    backend = _backend(request, runner)
    environment = runner.environment()
    if environment.python is None:
        raise BenchmarkError(
            f"--device {runner.name}: single layers are timed by a Python process, which it does "
            "not run; use local or ssh:USER@HOST"
        )
    empty = OpTable(runner.name, environment, backend, request.threads)
    table = load_table(request.table_file, empty)
    choices = _all_choices(request)
    with tempfile.TemporaryDirectory() as scratch:
        bench = Bench(
            runner,
            backend,
            request.threads,
            image=write_noise_image(Path(scratch) / "noise.png", seed=request.base.seed),
            scratch=Path(scratch),
            table_file=request.table_file,
            tell=tell,
        )
        near, table = _near(choices, bench, table, request)
        table = bench.with_operators(table, [op for choice in near for op in choice.operators])
        table = _with_frames(near, bench, table, request.labels)
        near = [_predicted(choice, table) for choice in near]
        near, files = _finals(near, bench, request)
    near.sort(key=predicted)
    chosen = best_within(
        [choice for choice in near if choice.measured_ms is not None], request.budget_ms
    )
    ratio = _ratio(near)
    if chosen is None:
        raise BenchmarkError(_none_text(near, request, runner, ratio))
    return Design(
        device=runner.name,
        environment=environment,
        backend=request.backend,
        threads=request.threads,
        budget_ms=request.budget_ms,
        choices=tuple(near),
        front=tuple(front_of(near)),
        chosen=chosen,
        file=files[chosen.title],
        ratio=ratio,
        looked_at=len(choices),
    )


def _backend(request: Request, runner: Runner) -> str:
    offered = {short_name(name): name for name in runner.backends}
    if request.backend not in offered:
        hint = choices_hint(request.backend, offered)
        raise BenchmarkError(
            f"--backend {request.backend}: {runner.name} has no such backend; {hint}"
        )
    return offered[request.backend]


def _all_choices(request: Request) -> list[Choice]:
    from edge_retina.design.layers import network_operators, output_operators

    base = request.base
    examples = few_examples(request.examples, seed=base.seed)
    found = []
    fits: dict[Any, Any] = {}
    for network in networks(base, fixed=request.fixed, with_data=bool(examples)):
        model, grid = network.config.model, network.anchors
        sizes = {"per_cell": network.per_cell, "num_classes": len(request.labels)}
        operators = network_operators(model, **sizes)
        last = output_operators(model, **sizes)
        if examples and grid not in fits:
            fits[grid] = object_fit(grid, examples)
        found.append(
            Choice(
                network,
                operators,
                sum(op.macs * count for op, count in (operators - last).items()),
                Frame.of(network, num_classes=len(request.labels)),
                fits.get(grid),
            )
        )
    return found


def _near(
    choices: list[Choice], bench: Bench, table: OpTable, request: Request
) -> tuple[list[Choice], OpTable]:
    """Return the networks that, by their MACs, are not far beyond the budget; the smallest too."""
    ordered = sorted(choices, key=lambda choice: choice.macs)
    middle = ordered[len(ordered) // 2]
    table = bench.with_operators(table, list(middle.operators))
    macs_per_ms = middle.macs / max(table.network_ms(middle.operators), 1e-9)
    most = _MOST_BUDGETS * request.budget_ms * macs_per_ms
    return [ordered[0], *(choice for choice in ordered[1:] if choice.macs <= most)], table


def _with_frames(
    choices: Sequence[Choice], bench: Bench, table: OpTable, labels: Sequence[str]
) -> OpTable:
    from edge_retina.design.random_file import frame_file

    owners = {choice.frame: choice.network for choice in choices}
    wanted = frames_to_measure(owners.keys())

    def maker(frame: Frame) -> Callable[[], bytes]:
        return lambda: frame_file(owners[frame], labels)

    return bench.with_frames(table, {frame: maker(frame) for frame in wanted})


def _predicted(choice: Choice, table: OpTable) -> Choice:
    whole = table.network_ms(choice.operators) + frame_ms(choice.frame, table.frames)
    return dataclasses.replace(choice, predicted_ms=whole)


def _finals(
    choices: list[Choice], bench: Bench, request: Request
) -> tuple[list[Choice], dict[str, Path]]:
    """Export and measure the most promising networks, one at a time, each wiser than before."""
    from edge_retina.design.random_file import network_file

    files: dict[str, Path] = {}
    for number in range(1, request.finalists + 1):
        if any(_fills(choice, request.budget_ms) for choice in choices):
            break
        ratio = _ratio(choices)
        is_last = number == request.finalists and not any(_fits(c, request) for c in choices)
        limit_ms = request.budget_ms * (_SAFE if is_last else 1.0)
        chosen = best_within(choices, limit_ms, ratio=ratio)
        if chosen is None:
            chosen = min(choices, key=lambda choice: expected_ms(choice, ratio))
        if chosen.measured_ms is not None:
            break
        bench.tell(f"finalist {number} of at most {request.finalists}: exporting {chosen.title}")
        path = request.out / f"{chosen.title.replace(' ', '_')}_int8.tflite"
        write_bytes(path, network_file(chosen.network, request.labels))
        bench.tell(f"finalist {number} of at most {request.finalists}: timing {chosen.title}")
        measured = dataclasses.replace(chosen, measured_ms=bench.file_ms(path))
        log.info(
            "%s: predicted %.2f ms, measured %.2f ms",
            chosen.title,
            predicted(measured),
            measured.measured_ms,
        )
        files[chosen.title] = path
        choices = [measured if choice is chosen else choice for choice in choices]
    return choices, files


def _fills(choice: Choice, budget_ms: float) -> bool:
    return choice.measured_ms is not None and FILLED * budget_ms <= choice.measured_ms <= budget_ms


def _fits(choice: Choice, request: Request) -> bool:
    return choice.measured_ms is not None and choice.measured_ms <= request.budget_ms


def _ratio(choices: Sequence[Choice]) -> float:
    """Return the geometric mean of measured to predicted times; 1 before anything is measured."""
    ratios = [
        choice.measured_ms / predicted(choice)
        for choice in choices
        if choice.measured_ms is not None
    ]
    return statistics.geometric_mean(ratios) if ratios else 1.0


def _none_text(choices: Sequence[Choice], request: Request, runner: Runner, ratio: float) -> str:
    fastest = min(choices, key=lambda choice: expected_ms(choice, ratio))
    if expected_ms(fastest, ratio) <= request.budget_ms:
        tried = [choice for choice in choices if choice.measured_ms is not None]
        nearest = min(tried, key=lambda choice: choice.measured_ms or 0.0)
        return (
            f"--budget-ms {request.budget_ms:g}: none of {len(tried)} exported networks was that "
            f"fast; the fastest of them, {nearest.title}, took {nearest.measured_ms:.2f} ms. Other "
            "programs may have slowed the device down: stop them and allow more --finalists"
        )
    how = "predicted" if fastest.measured_ms is None else "measured"
    return (
        f"--budget-ms {request.budget_ms:g}: no network of the grid is that fast on {runner.name}; "
        f"the fastest, {fastest.title}, takes {expected_ms(fastest, ratio):.2f} ms ({how}); allow "
        "more time, or fewer --classes, or a faster --backend or --threads"
    )

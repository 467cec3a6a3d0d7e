"""Images a second of the training command, its compiled step, that without evidence, and its input.

    python benchmarks/throughput.py DATA --json benchmarks/results/throughput.json

256x256, batch 8, width 0.35, FPN 64, head depth 3; or a preset's network with `--preset NAME`, also
with batch 8. All are measured in turn in one process, in rounds of 16 steps, so that whatever else
the machine does hits them alike. Ratios are of each round; median and quartiles are reported.

"step" runs the very step of the training on one fixed batch. "bare" is the same without the figures
that are only logged, such as update ratios; steps of both alternate. "training" is `Trainer`'s loop
with its input, learning rate, log and progress, without evaluations. "input" takes batches and
drops them.
"""

from __future__ import annotations

import dataclasses
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edge_retina.benchmark.environment import read_environment
from edge_retina.config import Config, load_config
from edge_retina.files import write_json

if TYPE_CHECKING:
    from edge_retina.training.step import TrainStep

_SMALL = ("model.head_depth=3", "model.fpn_channels=64", "model.image_size=256")
_ROUNDS, _STEPS, _INPUT_BATCHES, _WARMUP = 24, 16, 40, 12


@click.command()
@click.argument("data", type=click.Path(exists=True, path_type=Path))
@click.option("--pretrained", default="none", help="ImageNet weights as .h5; speed is the same.")
@click.option("--preset", help="A preset's network instead; its name goes into the result.")
@click.option("--rounds", default=_ROUNDS, show_default=True)
@click.option("--json", "target", type=click.Path(path_type=Path))
def main(data: Path, pretrained: str, preset: str | None, rounds: int, target: Path | None) -> None:
    """Measure on the training split of DATA."""
    network = () if preset else _SMALL
    config = load_config(
        preset=preset,
        overrides=(
            f"data.path='{data.resolve()}'",
            "data.skip_invalid=true",
            f"model.pretrained='{pretrained}'",
            "train.batch_size=8",
            "train.tensorboard=true",
            *network,
        ),
    )
    with tempfile.TemporaryDirectory() as directory:
        speeds = _measure(config, Path(directory), rounds)
    result: dict[str, Any] = {
        "environment": dataclasses.asdict(read_environment()),
        "preset": preset,
        "image_hw": list(config.model.image_hw),
        "backbone_width": config.model.backbone_width,
        "images_per_second": {
            name: {"median": statistics.median(values), "rounds": values}
            for name, values in speeds.items()
        },
        "step_to_bare": _ratio(speeds["step"], speeds["bare"]),
        "training_to_step": _ratio(speeds["training"], speeds["step"]),
        "input_to_step": _ratio(speeds["input"], speeds["step"]),
    }
    for name, values in speeds.items():
        click.echo(f"{name:<10}{statistics.median(values):8.1f} images/s")
    for name, asked in (("step_to_bare", 0.99), ("training_to_step", 0.97), ("input_to_step", 5)):
        low, high = result[name]["quartiles"]
        title = name.replace("_to_", " / ")
        click.echo(
            f"{title:<16}{result[name]['median']:.3f}, half of the rounds {low:.3f} to {high:.3f} "
            f"(asked: >= {asked})"
        )
    if target is not None:
        write_json(target, result)


def _measure(config: Config, directory: Path, rounds: int) -> dict[str, list[float]]:
    from edge_retina.input_pipeline.pipeline import training_batches
    from edge_retina.progress import show_progress
    from edge_retina.run_directory import RunDirectory
    from edge_retina.training.metrics_log import MetricsLog
    from edge_retina.training.trainer import Trainer
    from edge_retina.workflow.prepare import prepare_run

    run = RunDirectory(directory)
    context = prepare_run(config, run)
    config, data = context.config, context.data
    trainer = Trainer(
        config,
        grid=context.grid,
        labels=data.dataset.labels,
        train=data.train,
        val=data.val,
        run=run,
    )
    batch_size = config.train.batch_size
    metrics = MetricsLog(run.metrics_file, tensorboard=run.tensorboard_dir)
    speeds: dict[str, list[float]] = {"training": [], "step": [], "bare": [], "input": []}
    total = _WARMUP + rounds * _STEPS
    batches = training_batches(
        data.train,
        grid=context.grid,
        data=config.data,
        augmentation=config.augmentation,
        matching=config.matching,
        batch_size=batch_size,
        seed=config.seed,
    )
    fixed = next(iter(batches))
    whole, bare = trainer.make_step(), trainer.make_step(evidence=False)

    def repeat(step: TrainStep, count: int) -> None:
        for _ in range(count):
            step(*fixed, learning_rate=1e-6)

    def take_input(count: int) -> None:
        # A new iterator, so that nothing waits ready-made; its start-up is not timed.
        stream = iter(batches)
        next(stream)
        started = time.perf_counter()
        for _ in range(count):
            next(stream)
        speeds["input"].append(count * batch_size / (time.perf_counter() - started))

    with show_progress("throughput", total) as progress:
        loop = trainer.make_loop(0, total, metrics, progress)
        loop.run(0, _WARMUP)
        for step in (whole, bare):
            repeat(step, _WARMUP)
        done = _WARMUP
        for _ in range(rounds):
            first, done = done, done + _STEPS
            started = time.perf_counter()
            loop.run(first, done)
            speeds["training"].append(_STEPS * batch_size / (time.perf_counter() - started))
            time.sleep(1)  # the loop's prefetching fills up and falls silent
            seconds = _alternate(lambda: repeat(whole, 1), lambda: repeat(bare, 1))
            for name, taken in zip(("step", "bare"), seconds, strict=True):
                speeds[name].append(_STEPS * batch_size / taken)
            take_input(_INPUT_BATCHES)
    metrics.close()
    return speeds


def _alternate(first: Callable[[], None], second: Callable[[], None]) -> tuple[float, float]:
    """Return the seconds of all calls of both, which differ too little to be timed one by one."""
    taken = [0.0, 0.0]
    for number in range(2 * _STEPS):
        which = (number + number // 2) % 2  # ABBA: what drifts hits both alike
        started = time.perf_counter()
        (first, second)[which]()
        taken[which] += time.perf_counter() - started
    return taken[0], taken[1]


def _ratio(above: list[float], below: list[float]) -> dict[str, float | list[float]]:
    rounds = [a / b for a, b in zip(above, below, strict=True)]
    quartiles = statistics.quantiles(rounds, n=4)
    return {"median": quartiles[1], "quartiles": quartiles[::2], "rounds": rounds}


if __name__ == "__main__":
    main()

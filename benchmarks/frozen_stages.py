"""Images a second of the training step by the number of frozen backbone stages.

    python benchmarks/frozen_stages.py DATA --json benchmarks/results/frozen_stages.json

256x256, batch 8, width 0.35, and otherwise the default settings. Each network does its steps on the
same fixed batch. All take turns, one step each, so that whatever else the machine does hits them
alike. Ratios are to no frozen stage, of each round; the median is reported.
"""

from __future__ import annotations

import dataclasses
import statistics
import tempfile
import time
from pathlib import Path

import click

from edge_retina.benchmark.environment import read_environment
from edge_retina.config import load_config
from edge_retina.files import write_json
from edge_retina.run_directory import RunDirectory

_STAGES = (0, 1, 2, 3, 5)
_ROUNDS, _STEPS, _WARMUP, _BATCH = 7, 20, 5, 8


@click.command()
@click.argument("data", type=click.Path(exists=True, path_type=Path))
@click.option("--pretrained", default="imagenet", help="ImageNet weights as .h5.")
@click.option("--rounds", default=_ROUNDS, show_default=True)
@click.option("--json", "target", type=click.Path(path_type=Path))
def main(data: Path, pretrained: str, rounds: int, target: Path | None) -> None:
    """Measure on the training split of DATA."""
    with tempfile.TemporaryDirectory() as directory:
        speeds = _measure(data, Path(directory), pretrained, rounds)
    found = {
        str(stages): {
            "images_per_second": statistics.median(values),
            "to_none": statistics.median(
                value / none for value, none in zip(values, speeds[0], strict=True)
            ),
            "rounds": values,
        }
        for stages, values in speeds.items()
    }
    for stages, row in found.items():
        click.echo(
            f"{stages} frozen: {row['images_per_second']:6.1f} images/s, x {row['to_none']:.2f}"
        )
    if target is not None:
        environment = dataclasses.asdict(read_environment())
        write_json(target, {"environment": environment, "frozen_stages": found})


def _measure(data: Path, directory: Path, pretrained: str, rounds: int) -> dict[int, list[float]]:
    from edge_retina.input_pipeline.pipeline import training_batches
    from edge_retina.training.trainer import Trainer
    from edge_retina.workflow.prepare import prepare_run

    config = load_config(
        overrides=(
            f"data.path='{data.resolve()}'",
            "data.skip_invalid=true",
            # Random weights are not frozen. Without a file that can be had, speed is the same.
            f"model.pretrained='{pretrained}'",
            "model.image_size=256",
            f"train.batch_size={_BATCH}",
            "train.probe_images=0",
        )
    )
    context = prepare_run(config, RunDirectory(directory))
    steps = {}
    for stages in _STAGES:
        settings = dataclasses.replace(context.config.train, frozen_stages=stages)
        trainer = Trainer(
            context.config.replace(train=settings),
            grid=context.grid,
            labels=context.labels,
            train=context.data.train,
            val=(),
            run=RunDirectory(directory),
        )
        steps[stages] = trainer.make_step()
    batches = training_batches(
        context.data.train,
        grid=context.grid,
        data=config.data,
        augmentation=config.augmentation,
        matching=config.matching,
        batch_size=_BATCH,
        seed=0,
    )
    batch = next(iter(batches))
    for step in steps.values():
        for _ in range(_WARMUP):
            step(*batch, learning_rate=1e-6)
    speeds: dict[int, list[float]] = {stages: [] for stages in _STAGES}
    for _ in range(rounds):
        taken = dict.fromkeys(_STAGES, 0.0)
        for number in range(_STEPS):
            order = _STAGES if number % 2 else _STAGES[::-1]  # what drifts hits all alike
            for stages in order:
                started = time.perf_counter()
                steps[stages](*batch, learning_rate=1e-6)
                taken[stages] += time.perf_counter() - started
        for stages, seconds in taken.items():
            speeds[stages].append(_STEPS * _BATCH / seconds)
    return speeds


if __name__ == "__main__":
    main()

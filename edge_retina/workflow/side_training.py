"""Trainings that serve a question, beside the run itself: of folds, and of trials."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from edge_retina.config import Config
from edge_retina.datasets.schema import Example
from edge_retina.run_directory import RunDirectory
from edge_retina.workflow.anchors import resolve_anchors

STAGE = "train"  # of the marker


def is_trained(run: RunDirectory) -> bool:
    """Whether a side training has come to its end."""
    return bool(run.details(STAGE))


def train_beside(
    config: Config,
    run: RunDirectory,
    *,
    labels: tuple[str, ...],
    train: Sequence[Example],
    val: Sequence[Example] = (),
    evaluation_steps: Sequence[int] = (),
    on_evaluation: Callable[[int, float], None] | None = None,
) -> None:
    """Train a float model on examples of any choice, or go on; a finished one is left alone.

    Args:
        config: of the training.
        run: where it lies.
        labels: class names by index.
        train: what to train on.
        val: what to measure on; may be empty.
        evaluation_steps: see `Trainer`.
        on_evaluation: see `Trainer`.

    Raises:
        TrainingError: a loss or the gradient is not finite.
    """
    if is_trained(run):
        return
    from edge_retina.training.trainer import Trainer

    # With anchors as they were begun: another version may fit a little differently.
    grid = run.load_anchors() if run.is_begun else resolve_anchors(config, train)
    run.save_config(config)
    run.save_labels(labels)
    run.save_anchors(grid)
    trainer = Trainer(
        config,
        grid=grid,
        labels=labels,
        train=train,
        val=val,
        run=run,
        evaluation_steps=evaluation_steps,
        on_evaluation=on_evaluation,
    )
    run.mark_done(STAGE, trainer.fit())

"""`edge_retina.train` and `edge_retina.run`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edge_retina.api.run import Run
from edge_retina.api.settings import overrides_of, python_errors
from edge_retina.config import Config
from edge_retina.datasets.schema import Dataset
from edge_retina.errors import ConfigError
from edge_retina.run_directory import RunDirectory
from edge_retina.workflow.configuration import read_config
from edge_retina.workflow.stages import run_all, train_run


def train(source: str | Path | Config, *, out: str | Path, **settings: Any) -> Run:
    """Train a float model, like `edge-retina train`.

    An interrupted training in `out` goes on where it was.

    Args:
        source: a data set, a config file, or a config.
        out: the run directory.
        settings: fields of the config, such as `train={"epochs": 30}, seed=1`.

    Returns:
        The run directory, for `quantize`, `export` and `evaluate`.

    Raises:
        ConfigError: a setting that isn't there, or a value that is not allowed.
        DatasetError: the data set can't be used.
        RunError: `out` was begun with other settings or data, or another process writes it.
        TrainingError: training can't go on.
        EdgeRetinaError: TensorFlow is not installed.
    """
    with python_errors("training"):
        directory = RunDirectory(Path(out))
        train_run(_config(source, settings), directory)
    return Run(directory.root)


def run(source: str | Path | Config, *, out: str | Path | None = None, **settings: Any) -> Run:
    """Train, quantise, export, evaluate, benchmark and report, like `edge-retina run`.

    What is done already in `out` is not done again.

    Args:
        source: a data set, a config file, or a config.
        out: the run directory; runs/NAME by default, with the name in the config.
        settings: fields of the config, such as `train={"epochs": 30}, seed=1`.

    Raises:
        ConfigError, DatasetError, RunError, TrainingError, EdgeRetinaError: see `train`.
        ExportError: conversion or verification failed.
        BenchmarkError: a measurement that can't be made.
    """
    with python_errors("training"):
        config = _config(source, settings)
        directory = RunDirectory(Path("runs") / config.name if out is None else Path(out))
        run_all(config, directory)
    return Run(directory.root)


def _config(source: str | Path | Config, settings: dict[str, Any]) -> Config:
    if isinstance(source, Dataset):
        raise ConfigError(
            "source: got a Dataset, expected its path; write it with dataset.save(DIRECTORY) and "
            "train on that directory"
        )
    if not isinstance(source, Config):
        return read_config(Path(source), overrides=overrides_of(settings), seed=None)
    if settings:
        raise ConfigError(
            f"settings: {', '.join(settings)} can't be given with a Config; change the Config with "
            "its replace(), or name a file"
        )
    return source

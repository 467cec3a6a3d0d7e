"""One small run of the whole pipeline, made once and looked at by many tests."""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import tomli_w

from edge_retina.benchmark.results import BenchmarkReport
from edge_retina.benchmark.run import run_benchmark
from edge_retina.benchmark.timing_plan import TimingPlan
from edge_retina.config import Config, load_config
from edge_retina.datasets import Dataset, load_dataset
from edge_retina.datasets.generated import generate_dataset
from edge_retina.run_directory import RunDirectory

# A network of 64 pixels that learns its 8 training pictures by heart: nothing random is done to
# them, the batch holds them all, and the best checkpoint is the one that knows them best.
SETTINGS = (
    "name=tiny",
    "data.val_split=train",
    "model.pretrained=none",
    "model.image_size=64",
    "model.max_level=5",
    "model.fpn_channels=16",
    "model.head_depth=1",
    # Three shapes that suit the 26 objects, of which k-means would make only two.
    "anchors.shapes=["
    "[[8.67, 6.5], [12.33, 9.0], [20.0, 14.25]], "
    "[[17.33, 13.0], [24.67, 18.0], [40.0, 28.5]], "
    "[[34.67, 26.0], [49.33, 36.0], [80.0, 57.0]]]",
    "matching.assigner=max_iou",  # as is usual with several shapes
    "augmentation.horizontal_flip=0",
    "augmentation.scale=[1, 1]",
    "augmentation.aspect=0",
    "augmentation.translate=0",
    "augmentation.brightness=0",
    "augmentation.contrast=0",
    "augmentation.saturation=0",
    "augmentation.hue=0",
    "train.steps=250",
    "train.batch_size=8",
    "train.learning_rate=0.005",
    "train.warmup_steps=10",
    "train.ema_decay=0.9",
    "train.eval_every_epochs=100",
    "train.probe_images=0",
    "quantize.steps=10",
    "quantize.learning_rate=0.0001",
)


@pytest.fixture(scope="session")
def shared_tmp(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    """A directory of this test session that all of its processes (pytest-xdist) share."""
    base = tmp_path_factory.getbasetemp()
    path = (base.parent if hasattr(request.config, "workerinput") else base) / "e2e"
    path.mkdir(exist_ok=True)
    return path


@pytest.fixture(scope="session")
def data(shared_tmp: Path) -> Path:
    """Generated pictures: 8 to train on, 8 to test."""
    path = shared_tmp / "data"
    with open(shared_tmp / "data.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            generate_dataset(path, images={"train": 8, "test": 8}, image_hw=(96, 128))
    return path


@pytest.fixture(scope="session")
def dataset(data: Path) -> Dataset:
    """The pictures, read."""
    return load_dataset(data)


def config_of(data: Path, *overrides: str) -> Config:
    """Return the tiny config on `data`."""
    return load_config(overrides=[f'data.path="{data}"', *SETTINGS, *overrides])


@pytest.fixture(scope="session")
def config(data: Path) -> Config:
    """The tiny config."""
    return config_of(data)


@pytest.fixture(scope="session", autouse=True)
def _short_benchmark() -> Iterator[None]:
    """Measure every backend once; how it is measured is the subject of tests/benchmark.

    The stage gives a plan of its own, which this one replaces.
    """
    plan = TimingPlan(runs=3, rounds=1, warmup=1, min_seconds=0, max_warmup_s=0)

    def short(*args: Any, **options: Any) -> BenchmarkReport:
        return run_benchmark(*args, **{**options, "plan": plan})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("edge_retina.workflow.measuring.run_benchmark", short)
        yield


@pytest.fixture(scope="session")
def whole_run(shared_tmp: Path, config: Config) -> RunDirectory:
    """A finished RUN. Tests only read it; those that change something take `run_copy`."""
    from edge_retina.workflow.stages import run_all

    run = RunDirectory(shared_tmp / "run")
    with open(shared_tmp / "run.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # a second process finds every stage done
        run_all(config, run)
    return run


@pytest.fixture
def run_copy(whole_run: RunDirectory, tmp_path: Path) -> RunDirectory:
    """A copy of the finished RUN, with the times of its files."""
    return RunDirectory(Path(shutil.copytree(whole_run.root, tmp_path / "run")))


@pytest.fixture(scope="session")
def config_file(config: Config) -> Callable[..., Path]:
    """Write the tiny config, with overrides, as a TOML file."""

    def write(path: Path, *overrides: str) -> Path:
        changed = config_of(Path(config.data.path), *overrides)
        path.write_text(tomli_w.dumps(changed.to_dict()), encoding="utf-8")
        return path

    return write

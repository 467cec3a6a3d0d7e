"""The float training as a whole: what it goes on from, and what it keeps."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_retina.boxes.anchors import AnchorGrid
from edge_retina.config import Config, load_config
from edge_retina.datasets import load_dataset
from edge_retina.datasets.generated import generate_dataset
from edge_retina.datasets.schema import Dataset
from edge_retina.run_directory import RunDirectory
from tests.evaluation.one_class import first
from tests.training.tiny_backbone import use_tiny_backbone

pytestmark = [pytest.mark.tf, pytest.mark.slow]

STEPS, CUT = 12, 7


@pytest.fixture(autouse=True)
def _tiny_backbone(monkeypatch: pytest.MonkeyPatch) -> None:
    use_tiny_backbone(monkeypatch)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    path = tmp_path_factory.mktemp("data") / "generated"
    generate_dataset(path, images={"train": 8}, image_hw=(96, 128))
    return load_dataset(path)


GRID = AnchorGrid((64, 64), 3, (((16.0, 16.0),), ((32.0, 32.0),), ((64.0, 64.0),)))


@pytest.fixture
def config() -> Config:
    return load_config(
        overrides=[
            "model.pretrained=none",
            "model.image_size=64",
            "model.max_level=5",
            "model.fpn_channels=16",
            "model.head_depth=1",
            "train.batch_size=4",
            f"train.steps={STEPS}",
            "train.eval_every_epochs=2",  # that is, every 4 steps
            "train.checkpoint_minutes=0.000001",  # that is, after every step
            "train.tensorboard=false",
            "train.probe_images=0",
        ]
    )


def trainer_of(config: Config, dataset: Dataset, root: Path, *, validates: bool = True) -> Any:
    from edge_retina.training.trainer import Trainer

    examples = dataset.split("train")
    return Trainer(
        config,
        grid=GRID,
        labels=dataset.labels,
        train=examples,
        val=examples if validates else (),
        run=RunDirectory(root),
    )


def everything(trainer: Any) -> dict[str, np.ndarray]:
    """All that a training consists of, by name, and what it left in the RUN."""
    import h5py

    found = {"step": np.array(trainer._state.step)}
    variables = {
        "model": trainer.model.weights,
        "average": trainer.average.weights,
        "optimizer": trainer.optimizer.variables,
    }
    for name, values in variables.items():
        found |= {f"{name}/{i}/{value.name}": value.numpy() for i, value in enumerate(values)}
    with h5py.File(trainer.run.float_weights) as file:
        file.visititems(
            lambda name, item: (
                found.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None
            )
        )
    return found


def logged(trainer: Any) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in trainer.run.metrics_file.read_text().splitlines()]
    return [{k: v for k, v in line.items() if k != "images_per_second"} for line in lines]


# Options that change a training over its steps, all at once.
SCHEDULED = {
    "backbone_learning_rate": 0.1,
    "frozen_stages": 2,
    "warmup_fraction": 0.25,
    "ema_fraction": 0.5,
    "plain_steps": 0.34,  # the last 4 steps
    "reestimate_batchnorm": 2,
    "probe_images": 4,
}


@pytest.fixture
def imagenet_file(_tiny_backbone: None, tmp_path: Path) -> Path:
    """Stands in for ImageNet weights."""
    from edge_retina.model.keras import keras

    path = tmp_path / "backbone.h5"
    network = keras.applications.TinyNet(
        alpha=0.35, include_top=False, weights=None, input_shape=(None, None, 3)
    )
    network.save_weights(path)
    return path


def test_only_a_pretrained_backbone_is_spared(
    config: Config, dataset: Dataset, tmp_path: Path, imagenet_file: Path
):
    """One of random weights has nothing to lose, and frozen it would never learn."""
    from edge_retina.model.keras import tf

    train = dataclasses.replace(
        config.train, frozen_stages=2, backbone_learning_rate=0.1, backbone_warmup=0.5
    )
    config = config.replace(train=train)
    from_noise = trainer_of(config, dataset, tmp_path / "noise")
    model = dataclasses.replace(config.model, pretrained=str(imagenet_file))
    tuned = trainer_of(config.replace(model=model), dataset, tmp_path / "tuned")
    counts = [len(trainer.model.trainable_variables) for trainer in (from_noise, tuned)]
    assert counts[0] > counts[1]
    assert all(layer.trainable for layer in from_noise.model.layers)

    moved = []
    for trainer in (from_noise, tuned):
        kernel = trainer.model.get_layer("block_5_conv").kernel
        before = kernel.numpy()
        trainer.optimizer.learning_rate.assign(0.01)
        gradients = [tf.ones_like(v) for v in trainer.model.trainable_variables]
        trainer.optimizer.apply_gradients(
            zip(gradients, trainer.model.trainable_variables, strict=True)
        )
        moved.append(np.abs(kernel.numpy() - before).max())
    # A tenth, in the first of the six steps over which it rises.
    assert moved[1] == pytest.approx(moved[0] / 10 / (STEPS / 2), rel=0.01)


@pytest.mark.parametrize("wanted", [False, True])
def test_deterministic_operations_when_wanted(
    config: Config,
    dataset: Dataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    wanted: bool,
) -> None:
    from edge_retina.model.keras import tf

    asked: list[bool] = []
    monkeypatch.setattr(tf.config.experimental, "enable_op_determinism", lambda: asked.append(True))
    train = dataclasses.replace(config.train, deterministic=wanted)
    trainer_of(config.replace(train=train), dataset, tmp_path)
    assert asked == [True] * wanted


def test_bfloat16_ends_where_float32_does(config: Config, dataset: Dataset, tmp_path: Path) -> None:
    from edge_retina.model.keras import keras

    losses: dict[str, np.ndarray] = {}
    for precision in ("float32", "bfloat16"):
        train = dataclasses.replace(config.train, precision=precision, checkpoint_minutes=0.0)
        settings, run = config.replace(train=train), tmp_path / precision
        trainer = trainer_of(settings, dataset, run, validates=False)
        trainer.fit()
        computed = {layer.compute_dtype for layer in trainer.model.layers}
        assert precision in computed
        assert {layer.compute_dtype for layer in trainer.average.layers} == {"float32"}
        assert {weight.dtype.name for weight in trainer.model.weights} == {"float32"}
        losses[precision] = np.array([x["loss"] for x in logged(trainer) if "loss" in x])
    assert keras.mixed_precision.global_policy().name == "float32", "as it was"
    # bfloat16 has 8 bits of mantissa: not equal, and not far.
    np.testing.assert_allclose(losses["bfloat16"], losses["float32"], rtol=0.02)
    assert (losses["bfloat16"] != losses["float32"]).any()


def test_a_range_test_leaves_the_training_as_it_was(
    config: Config, dataset: Dataset, tmp_path: Path
) -> None:
    found = {}
    for count in (0, 6):
        train = dataclasses.replace(config.train, rate_range_steps=count, steps=4)
        settings, run = config.replace(train=train), tmp_path / str(count)
        trainer = trainer_of(settings, dataset, run, validates=False)
        trainer.fit()
        found[count] = everything(trainer)
    assert found[0].keys() == found[6].keys()
    for name, value in found[6].items():
        np.testing.assert_array_equal(value, found[0][name], err_msg=name)
    assert not (tmp_path / "0" / "evidence").exists()
    record = json.loads((tmp_path / "6" / "evidence" / "rate_range.json").read_text())
    peak = config.train.learning_rate
    assert record["learning_rates"][:1] == pytest.approx([peak / 100])
    assert 1 < len(record["learning_rates"]) == len(record["losses"]) <= 6
    if len(record["losses"]) == 6:
        assert record["learning_rates"][-1] == pytest.approx(100 * peak)


@pytest.mark.parametrize("options", [{}, SCHEDULED], ids=["default", "scheduled"])
def test_an_interrupted_training_ends_as_an_undisturbed_one(
    config: Config,
    dataset: Dataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: dict[str, Any],
    imagenet_file: Path,
) -> None:
    from edge_retina.training import trainer as module

    config = config.replace(train=dataclasses.replace(config.train, **options))
    before_cut, cut, often = CUT - 1, CUT, config
    # A checkpoint takes seconds: where there is no need for more, only at evaluations.
    config = config.replace(train=dataclasses.replace(config.train, checkpoint_minutes=0.0))
    if options:
        # Some of them are for pretrained backbones only.
        model = dataclasses.replace(config.model, pretrained=str(imagenet_file))
        config = config.replace(model=model)
        before_cut, cut, often = 4, 8, config
    undisturbed = trainer_of(config, dataset, tmp_path / "whole")
    results = undisturbed.fit()
    assert results.pop("seconds") > 0

    class CutShort(module.Checkpoints):
        def save(self, step: int) -> None:
            super().save(step)
            if step == cut:
                raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(module, "Checkpoints", CutShort)
        with pytest.raises(KeyboardInterrupt):
            trainer_of(often, dataset, tmp_path / "cut").fit()
    checkpoints = {path.stem for path in (tmp_path / "cut/float/checkpoint").glob("*.index")}
    assert checkpoints == {f"step-{before_cut}", f"step-{cut}"}
    resumed = trainer_of(config, dataset, tmp_path / "cut")
    results_resumed = resumed.fit()
    assert results_resumed.pop("seconds") > 0

    assert results_resumed == results
    assert logged(resumed) == logged(undisturbed)
    assert [line["step"] for line in logged(resumed) if "loss" in line] == [1, 4, 8, 12]
    expected, found = everything(undisturbed), everything(resumed)
    assert len(found) > 200
    assert found.keys() == expected.keys()
    for name, value in found.items():
        np.testing.assert_array_equal(value, expected[name], err_msg=name)
    assert resumed._state.selection.count == 3

    if options:
        return
    # A training that is done does nothing again, but its weights are there afterwards.
    resumed.run.float_weights.unlink()
    again = trainer_of(config, dataset, tmp_path / "cut")
    assert again.fit()["best_step"] == results["best_step"]
    for name, value in everything(again).items():
        np.testing.assert_array_equal(value, expected[name], err_msg=name)


def test_a_training_can_be_stopped_at_an_evaluation_and_goes_on(
    config: Config, dataset: Dataset, tmp_path: Path
) -> None:
    """As a search for settings does with weak trials."""
    from edge_retina.training.trainer import Trainer

    class Stopped(Exception):  # noqa: N818
        pass

    told: list[tuple[int, float]] = []

    def observe(step: int, value: float) -> None:
        told.append((step, value))
        if len(told) == 1:
            raise Stopped

    few = dataclasses.replace(config.train, steps=4, checkpoint_minutes=0.0)
    examples = dataset.split("train")

    def trainer() -> Any:
        return Trainer(
            config.replace(train=few),
            grid=GRID,
            labels=dataset.labels,
            train=examples,
            val=examples,
            run=RunDirectory(tmp_path),
            evaluation_steps=(2,),
            on_evaluation=observe,
        )

    with pytest.raises(Stopped):
        trainer().fit()
    resumed = trainer()
    resumed.fit()
    assert [step for step, _ in told] == [2, 4], "what was measured isn't measured again"
    evaluations = [line for line in logged(resumed) if "mAP" in line]
    assert [(line["step"], line["mAP"]) for line in evaluations] == told
    assert evaluations[0]["errors"].keys() >= {"missed", "background"}


class Measured:
    """A validation whose results are given: so many of 200 objects found."""

    def __init__(self, *found: int) -> None:
        self._found = iter(found)
        self.errors: dict[str, float] = {}

    def measure(self, step: int, weights: Any) -> tuple[Any, Any]:
        from types import SimpleNamespace

        from edge_retina.training.selection import EvaluatedState

        matches = first(next(self._found), 200)
        figures = {"mAP": matches.mAP(), "mAP50": matches.mAP(), "per_class": {}, "detections": 0}
        metrics = SimpleNamespace(**figures)
        return metrics, EvaluatedState(step, metrics.mAP, matches, weights)


def test_which_weights_are_kept(config: Config, dataset: Dataset, tmp_path: Path) -> None:
    """The last ones unless earlier ones are better beyond noise; at every moment."""
    from edge_retina.training.metrics_log import MetricsLog
    from edge_retina.training.selection import StateSelection

    trainer = trainer_of(config, dataset, tmp_path)
    trainer._validation = Measured(100, 140, 139, 100, 142)
    layer = trainer.average.get_layer("p3_lateral")
    for step, kept in ((1, 1), (2, 2), (3, 3), (4, 2), (5, 5)):
        layer.set_weights([np.full_like(w, step) for w in layer.get_weights()])
        trainer._evaluate(step, MetricsLog(None))
        assert {float(w.min()) for w in layer.get_weights()} == {step}, "training goes on from it"
        assert saved(trainer, "p3_lateral") == {kept}

    # Without a validation split it is always the last.
    trainer._validation, trainer._state.selection = None, StateSelection()
    for step in (6, 7):
        layer.set_weights([np.full_like(w, step) for w in layer.get_weights()])
        trainer._evaluate(step, MetricsLog(None))
        assert saved(trainer, "p3_lateral") == {step}


def saved(trainer: Any, layer: str) -> set[float]:
    """The values of a layer's weights in the file."""
    model = trainer._build()
    model.load_weights(str(trainer.run.float_weights))
    return {float(x) for weight in model.get_layer(layer).get_weights() for x in weight.ravel()}


def make_teacher(config: Config, dataset: Dataset, root: Path) -> RunDirectory:
    """A RUN whose detector has another input size and sees something everywhere."""
    from edge_retina.model.retinanet import build_retinanet

    run = RunDirectory(root)
    grid = AnchorGrid((96, 96), 3, (((24.0, 24.0),), ((40.0, 56.0),), ((96.0, 96.0),)))
    model = build_retinanet(
        dataclasses.replace(config.model, image_hw=(96, 96)),
        num_classes=len(dataset.labels),
        anchors=grid,
    )
    kernel, bias = model.get_layer("cls_out_pw").get_weights()
    model.get_layer("cls_out_pw").set_weights([kernel, np.zeros_like(bias)])
    run.save_config(config.replace(model=dataclasses.replace(config.model, image_hw=(96, 96))))
    run.save_labels(dataset.labels)
    run.save_anchors(grid)
    run.float_weights.parent.mkdir(parents=True)
    model.save_weights(str(run.float_weights))
    return run


def test_a_training_with_a_teacher_goes_on_as_an_undisturbed_one(
    config: Config, dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edge_retina.model.keras import tf
    from edge_retina.training import trainer as module

    teacher = make_teacher(config, dataset, tmp_path / "teacher")
    content = teacher.float_weights.read_bytes()
    few = dataclasses.replace(config.train, steps=4)
    alone = trainer_of(config.replace(train=few), dataset, tmp_path / "alone")
    often = config.replace(train=dataclasses.replace(few, teacher=str(teacher.root)))
    config = often.replace(train=dataclasses.replace(often.train, checkpoint_minutes=0.0))
    undisturbed = trainer_of(config, dataset, tmp_path / "whole", validates=False)
    for value, same in zip(undisturbed.model.weights, alone.model.weights, strict=True):
        np.testing.assert_array_equal(value, same, err_msg="a teacher changes the start")
    undisturbed.fit()
    distances = [line["distance"] for line in logged(undisturbed) if "loss" in line]
    assert [distance > 0.01 for distance in distances] == [True, True]
    names = [
        name for name, _ in tf.train.list_variables(str(undisturbed.run.checkpoint_dir / "step-4"))
    ]
    assert {name.split("/")[0] for name in names} <= {
        "model",
        "average",
        "optimizer",
        "state",
        "_CHECKPOINTABLE_OBJECT_GRAPH",
    }

    class CutShort(module.Checkpoints):
        def save(self, step: int) -> None:
            super().save(step)
            if step == 2:
                raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(module, "Checkpoints", CutShort)
        with pytest.raises(KeyboardInterrupt):
            trainer_of(often, dataset, tmp_path / "cut", validates=False).fit()
    resumed = trainer_of(config, dataset, tmp_path / "cut", validates=False)
    resumed.fit()
    assert logged(resumed) == logged(undisturbed)
    expected, found = everything(undisturbed), everything(resumed)
    assert found.keys() == expected.keys()
    for name, value in found.items():
        np.testing.assert_array_equal(value, expected[name], err_msg=name)
    assert teacher.float_weights.read_bytes() == content


def make_detector(config: Config, dataset: Dataset, root: Path) -> RunDirectory:
    """A RUN of the same network with other weights."""
    from edge_retina.model.retinanet import build_retinanet

    run = RunDirectory(root)
    model = build_retinanet(config.model, num_classes=len(dataset.labels), anchors=GRID)
    rng = np.random.default_rng(0)
    for layer in model.layers:
        layer.set_weights([w + rng.uniform(0.01, 0.1, w.shape) for w in layer.get_weights()])
    run.save_config(config)
    run.save_labels(dataset.labels)
    run.float_weights.parent.mkdir(parents=True)
    model.save_weights(str(run.float_weights))
    return run


def test_a_training_takes_its_start_once(
    config: Config,
    dataset: Dataset,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """And the backbone counts as pretrained, whose ImageNet weights aren't even looked for."""
    from edge_retina.training.init_source import read_weights

    source = make_detector(config, dataset, tmp_path / "source")
    settings = dataclasses.replace(config.train, init=str(source.root), frozen_stages=1)
    model = dataclasses.replace(config.model, pretrained="imagenet")
    config = config.replace(train=settings, model=model)
    caplog.set_level("INFO", logger="edge_retina")
    cut = trainer_of(config, dataset, tmp_path / "run")
    assert cut._begin() == 0
    count = len(cut.model.weights)
    assert [m for m in caplog.messages if m.startswith("init: ")] == [
        f"init: {count} of {count} variables from {source.root}",
        f"init: classes: 5 of 5 taken ({', '.join(dataset.labels)})",
        "init: model.pretrained is not loaded, since the backbone is in it",
    ]
    record = json.loads(cut.run.results_file("init").read_text())
    assert record["variables"] == {"taken": count, "all": count}
    expected = read_weights(source.float_weights)
    for network in (cut.model, cut.average):
        for layer in network.layers:
            for value in layer.trainable_weights:
                name = value.name.split("/")[-1].partition(":")[0]
                np.testing.assert_array_equal(value, expected[layer.name][name])
    assert [x.trainable for x in cut.model.layers if x.name.startswith("block_1_")] == [False] * 3
    cut.model.get_layer("p3_lateral").set_weights([np.ones((1, 1, 8, 16))])  # as if it had learnt
    cut._save_checkpoint(2)

    shutil.rmtree(source.root)
    model = dataclasses.replace(config.model, pretrained="none")  # of no consequence
    resumed = trainer_of(config.replace(model=model), dataset, tmp_path / "run")
    layers = [x for x in resumed.model.layers if x.name.startswith("block_1_")]
    assert [x.trainable for x in layers] == [False] * 3
    assert resumed._begin() == 2
    for value, expected in zip(resumed.model.weights, cut.model.weights, strict=True):
        np.testing.assert_array_equal(value, expected)
    assert json.loads(resumed.run.results_file("init").read_text()) == record

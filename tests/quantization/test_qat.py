from __future__ import annotations

import dataclasses
import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest

from edge_retina.config import Config, load_config
from edge_retina.datasets.schema import Example
from edge_retina.errors import TrainingError
from edge_retina.runtime.image import load_image, normalize
from tests.evaluation.one_class import first
from tests.training.tiny_backbone import use_tiny_backbone

pytestmark = pytest.mark.tf

LABELS = ("a", "b", "c")
STEPS = 4


@pytest.fixture(scope="module")
def small(make_healthy: Callable[[], SimpleNamespace]) -> SimpleNamespace:
    """A model with nothing wrong and few layers, for each training traces them all anew.

    Its pyramid and heads have the depthwise convolutions and the sums that its backbone lacks.
    """
    with pytest.MonkeyPatch.context() as patch:
        use_tiny_backbone(patch)
        return make_healthy()


@pytest.fixture
def model(small: SimpleNamespace) -> Iterator[SimpleNamespace]:
    """`small`, to be trained."""
    yield small
    small.restore()
    small.quantized.range_rate.assign(0.0)


@pytest.fixture
def config(small: SimpleNamespace) -> Config:
    shapes = [[list(shape) for shape in level] for level in small.grid.shapes]
    return load_config(
        overrides=[
            "model.image_size=64",
            "model.max_level=5",
            "model.fpn_channels=16",
            "model.head_depth=1",
            f"anchors.shapes={shapes}",
            "train.batch_size=4",
            "quantize.warmup_steps=0",
            "quantize.learning_rate=1.0",
            "quantize.evaluations=2",
        ]
    )


@pytest.fixture
def examples(
    small: SimpleNamespace,
    config: Config,
    tmp_path: Path,
    blurred_pictures: Callable[[int, int], Any],
) -> tuple[Example, ...]:
    """Pictures labelled with what the float model finds in them, so that its mAP is 1."""
    from edge_retina.model.predictor import KerasPredictor

    teacher = KerasPredictor(
        small.float_model, anchors=small.grid, labels=LABELS, export=config.export
    )
    made = []
    for number, picture in enumerate(blurred_pictures(4, 5)):
        path = tmp_path / f"{number}.png"
        assert cv2.imwrite(str(path), picture)
        found = teacher.predict(load_image(path))
        strong = found.above(np.sort(found.scores)[-5])
        made.append(
            Example(
                path.name,
                path,
                (64, 64),
                strong.boxes_px((64, 64)),
                strong.classes,
                np.zeros(len(strong), bool),
            )
        )
    return tuple(made)


def fake_quantised_map(
    model: SimpleNamespace, config: Config, examples: tuple[Example, ...]
) -> float:
    from edge_retina.evaluation.evaluator import evaluate
    from edge_retina.quantization.quantize import quantized_predictor

    predictor = quantized_predictor(
        model.quantized, grid=model.grid, labels=LABELS, export=config.export
    )
    return evaluate(predictor, examples, labels=LABELS)[0].mAP or 0.0


def test_a_training_that_ruins_the_model_is_not_kept(
    model: SimpleNamespace,
    config: Config,
    examples: tuple[Example, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    metrics_file = tmp_path / "metrics.jsonl"
    predictors = count_predictors(monkeypatch)
    before = fake_quantised_map(model, config, examples)
    assert before > 0.5

    caplog.set_level(logging.INFO)
    choice = train(model, config, examples, val=examples, metrics_file=metrics_file)
    assert (choice.step, choice.mAP, choice.before) == (0, before, before)
    assert choice.best_trained is not None
    assert choice.best_trained[1] < before
    assert caplog.messages[-1] == f"qat: {choice.sentence()}"
    assert_weights(model, model.weights)
    assert model.quantized.activation_ranges() == model.ranges
    assert fake_quantised_map(model, config, examples) == before
    lines = [json.loads(line) for line in metrics_file.read_text().splitlines()]
    assert [line["step"] for line in lines if "loss" in line] == [1, 3, STEPS]
    assert [line["step"] for line in lines if "mAP" in line] == [0, 3, STEPS]
    assert lines[0]["mAP"] == before
    (predictor,) = predictors
    assert predictor._run.experimental_get_tracing_count() == 1

    # Without a validation split the training images show it.
    choice = train(model, config, examples)
    assert (choice.step, choice.measured_on) == (0, "4 training images")
    assert len(predictors) == 2
    assert_weights(model, model.weights)

    # Nothing to compare by: the last step is kept, and it is as bad as that.
    choice = train(model, change(config, evaluations=0), examples, val=examples)
    assert (choice.step, choice.mAP, choice.measured_on) == (STEPS, None, "")
    assert len(predictors) == 2, "nothing is measured"
    assert fake_quantised_map(model, config, examples) < 0.5 * before
    kernel, bound = kernel_and_bound(model.quantized, "p3_lateral")
    np.testing.assert_allclose(bound, np.abs(kernel).max(axis=(0, 1, 2)), rtol=1e-6)


def count_predictors(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Return a list that gets every predictor made for a validation."""
    from edge_retina.model import predictor
    from edge_retina.training import validation

    made: list[Any] = []

    class Counted(predictor.KerasPredictor):
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            made.append(self)

    monkeypatch.setattr(validation, "KerasPredictor", Counted)
    return made


def kernel_and_bound(quantized: Any, name: str) -> tuple[np.ndarray, np.ndarray]:
    from edge_retina.quantization.fake_quant_layers import wrappers

    bound = wrappers(quantized.model)[name].kernel_variables["bound"]
    return quantized.variables()[f"{name}/kernel"].numpy(), bound.numpy()


class Measured:
    """A validation whose results are given: so many of 200 objects found."""

    def __init__(self, *found: int) -> None:
        self._found = iter(found)

    def measure(self, step: int, weights: Any) -> tuple[Any, Any]:
        from edge_retina.training.selection import EvaluatedState

        matches = first(next(self._found), 200)
        metrics = SimpleNamespace(mAP=matches.mAP(), mAP50=matches.mAP())
        return metrics, EvaluatedState(step, metrics.mAP, matches, weights)


@pytest.mark.parametrize(
    "found, kept",
    [
        ([100, 80, 60], 0),
        ([100, 120, 60], 10),
        ([100, 120, 140], 20),
        ([100, 100, 100], 20),  # at least as good as the calibrated state
        ([100, 99, 99], 0),  # a little worse: the calibrated state, though it may be noise
        (
            [100, 120, 119],
            20,
        ),  # of trained states the last, ...
        ([100, 120, 101], 10),  # ... unless an earlier one is clearly better
    ],
)
def test_the_state_that_is_kept(model: SimpleNamespace, found: list[int], kept: int) -> None:
    from edge_retina.quantization.trained_states import TrainedStates
    from edge_retina.training.metrics_log import MetricsLog

    set_state(model, 0)
    offered = model.quantized.weights()
    states = TrainedStates(model.quantized, Measured(*found), MetricsLog(None))
    assert_weights(model, offered)
    for step in (10, 20):
        set_state(model, step)
        offered = model.quantized.weights()
        states.offer(step)
        assert_weights(model, offered)  # training goes on from what it was
    set_state(model, 99)
    assert states.keep(20).step == kept
    bias = model.quantized.weights()["p3_lateral/bias"]
    np.testing.assert_allclose(bias, model.weights["p3_lateral/bias"] + kept, atol=0.1)
    model.quantized.round_biases()  # it was kept as it was measured
    np.testing.assert_allclose(model.quantized.weights()["p3_lateral/bias"], bias, rtol=1e-6)
    assert model.quantized.activation_ranges()["p3_lateral"] == (-1.0 - kept, 1.0 + kept)


def assert_weights(model: SimpleNamespace, expected: dict[str, np.ndarray]) -> None:
    for name, value in model.quantized.weights().items():
        np.testing.assert_array_equal(value, expected[name], err_msg=name)


def set_state(model: SimpleNamespace, step: int) -> None:
    """Make a state that tells its step."""
    bias = model.weights["p3_lateral/bias"] + step
    model.quantized.set_weights(model.weights | {"p3_lateral/bias": bias})
    span = (-1.0 - step, 1.0 + step)
    model.quantized.set_activation_ranges(model.ranges | {"p3_lateral": span})


@pytest.mark.parametrize(
    "choice, sentence",
    [
        (
            {"step": 0, "mAP": 0.5, "before": 0.5, "measured_on": "9 validation images"},
            "kept PTQ: mAP 0.5000 (9 validation images)",
        ),
        (
            {
                "step": 0,
                "mAP": 0.5,
                "before": 0.5,
                "measured_on": "9 validation images",
                "best_trained": (60, 0.49),
            },
            "kept PTQ: mAP 0.5000, the best trained state, step 60, has 0.4900 "
            "(9 validation images)",
        ),
        (
            {"step": 80, "mAP": 0.52, "before": 0.5, "measured_on": "64 training images"},
            "kept step 80: mAP 0.5200, PTQ has 0.5000 (64 training images)",
        ),
        ({"step": 80}, "kept the last state (step 80), which was not compared with PTQ"),
    ],
)
def test_one_line_says_what_was_chosen(choice: dict[str, Any], sentence: str) -> None:
    from edge_retina.quantization.trained_states import Choice

    assert Choice(**choice).sentence() == sentence


@pytest.mark.parametrize(
    "ignored, count, expected",
    [
        ([], 3, []),
        ([[], [True]], 3, []),  # no object, and only one that nobody is to find
        ([[False], [False]], 3, [0, 1]),
        ([[False]] * 7, 3, [0, 2, 4]),
        ([[False], [], [True, False], [True], [False], [False]], 2, [0, 4]),
    ],
)
def test_images_in_place_of_a_validation_split(
    ignored: list[list[bool]], count: int, expected: list[int]
) -> None:
    from edge_retina.quantization.qat import with_objects

    examples: Any = [
        SimpleNamespace(number=number, ignored=np.array(flags, bool))
        for number, flags in enumerate(ignored)
    ]
    assert [example.number for example in with_objects(examples, count)] == expected


@pytest.mark.parametrize(
    "steps, evaluations, expected",
    [
        (100, 4, {62, 75, 88, 100}),  # the second half only
        (100, 1, {100}),
        (100, 0, set()),
        (8, 4, {5, 6, 7, 8}),
        (1, 4, {1}),
    ],
)
def test_evaluations_are_spread_over_the_second_half(
    steps: int, evaluations: int, expected: set[int]
) -> None:
    from edge_retina.quantization.qat import _evaluation_steps

    assert _evaluation_steps(steps, evaluations) - {0} == expected  # step 0 is measured anyway


def test_by_default_ranges_stay_as_calibrated(
    model: SimpleNamespace,
    config: Config,
    examples: tuple[Example, ...],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    predictors = count_predictors(monkeypatch)
    config = change(config, evaluations=0, learning_rate=0.001)
    assert train(model, config, examples, val=examples).step == STEPS
    assert predictors == [], "without evaluations nothing is measured"
    assert model.quantized.activation_ranges() == model.ranges
    weights = model.quantized.weights()
    assert any((value != model.weights[name]).any() for name, value in weights.items())


def test_ranges_of_class_logits_never_move(
    model: SimpleNamespace, blurred_pictures: Callable[[int, int], Any]
) -> None:
    model.quantized.range_rate.assign(0.01)
    model.quantized.model(normalize(blurred_pictures(4, 7)), training=True)
    found = model.quantized.activation_ranges()
    moved = {name for name, span in found.items() if span != model.ranges[name]}
    logits = {name for name in found if name.startswith("cls_") and name.endswith("_out_pw")}
    assert len(logits) == 3
    assert not moved & logits
    assert len(moved) > 0.5 * len(found), "others do, where they may"


@pytest.mark.parametrize(
    "share_levels, until, moving",
    [
        (False, 0.5, [0, 1, 2, 3, 4]),
        (False, 0.0, []),
        (False, 1.0, list(range(10))),
        (True, 0.5, []),
    ],
)
def test_ranges_stand_still_from_then_on(
    share_levels: bool, until: float, moving: list[int]
) -> None:
    from edge_retina.model.keras import tf
    from edge_retina.quantization.qat import _range_hook

    recipe = SimpleNamespace(share_levels=share_levels)
    quantized: Any = SimpleNamespace(recipe=recipe, range_rate=tf.Variable(0.5))
    before_step = _range_hook(quantized, 10, until=until)
    rates = {}
    for step in range(10):
        before_step(step)
        rates[step] = float(quantized.range_rate)
    assert [step for step, rate in rates.items() if rate > 0] == moving
    assert all(rate in (0.0, pytest.approx(0.01)) for rate in rates.values())


@pytest.mark.parametrize("plain_steps, plain_from", [(0.3, 0), (0.0, None)])
def test_pictures_are_plain_if_the_float_training_ended_so(
    model: SimpleNamespace,
    config: Config,
    examples: tuple[Example, ...],
    monkeypatch: pytest.MonkeyPatch,
    plain_steps: float,
    plain_from: int | None,
) -> None:
    from edge_retina.quantization import qat

    given: list[Any] = []

    def record(*_: Any, **options: Any) -> Any:
        given.append(options["plain_from"])
        raise RuntimeError("enough")

    monkeypatch.setattr(qat, "training_batches", record)
    settings = dataclasses.replace(config.train, plain_steps=plain_steps)
    with pytest.raises(RuntimeError, match="enough"):
        train(model, change(config.replace(train=settings), evaluations=0), examples)
    assert given == [plain_from]


def test_an_infinite_gradient_stops_the_training_and_reaches_no_weight(
    model: SimpleNamespace,
    config: Config,
    examples: tuple[Example, ...],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from edge_retina.model.keras import tf
    from edge_retina.quantization import qat

    make_objective = qat.detection_objective
    kernel = model.quantized.variables()["p3_lateral/kernel"]

    def make_planted(*args: Any, **options: Any) -> Any:
        objective = make_objective(*args, **options)

        def compute(*batch: Any) -> Any:
            computed, one = objective(*batch), tf.reshape(kernel, [-1])[0]
            planted = {"planted": tf.sqrt(one - tf.stop_gradient(one))}
            return computed._replace(losses=computed.losses | planted)

        return compute

    monkeypatch.setattr(qat, "detection_objective", make_planted)
    with pytest.raises(TrainingError) as caught:
        train(model, config, examples)
    assert str(caught.value) == ("step 1: the gradient's norm is inf; lower quantize.learning_rate")
    assert_weights(model, model.weights)


def change(config: Config, **options: Any) -> Config:
    return config.replace(quantize=dataclasses.replace(config.quantize, **options))


def train(
    model: SimpleNamespace,
    config: Config,
    examples: tuple[Example, ...],
    *,
    val: tuple[Example, ...] = (),
    metrics_file: Path | None = None,
) -> Any:
    from edge_retina.model.deploy import join_levels
    from edge_retina.quantization.qat import train_quantized

    return train_quantized(
        model.quantized,
        join_levels(model.deploy),
        config=config,
        grid=model.grid,
        train=examples,
        val=val,
        labels=LABELS,
        steps=STEPS,
        metrics_file=metrics_file,
    )


def test_both_engines_train_to_the_same_file(
    model: SimpleNamespace,
    config: Config,
    examples: tuple[Example, ...],
    to_file: Callable[..., Any],
) -> None:
    """Ranges follow the batches meanwhile, so that they have to agree too."""
    from edge_retina.quantization.wrapping import build_quantized_model

    config = change(config, evaluations=0, learning_rate=0.001, freeze_ranges_at=1.0)
    trained = {}
    for engine in ("tfmot", "own"):
        quantized = build_quantized_model(model.deploy, engine=engine)
        quantized.set_weights(model.weights)
        quantized.set_activation_ranges(model.ranges)
        train(SimpleNamespace(**{**vars(model), "quantized": quantized}), config, examples)
        quantized.round_biases()
        trained[engine] = quantized
    theirs, ours = trained["tfmot"], trained["own"]
    assert ours.activation_ranges() == theirs.activation_ranges() != model.ranges
    weights = theirs.weights()
    assert any((weights[name] != model.weights[name]).any() for name in weights)
    for name, value in ours.weights().items():
        np.testing.assert_array_equal(value, weights[name])
    assert to_file(ours).read_bytes() == to_file(theirs).read_bytes()

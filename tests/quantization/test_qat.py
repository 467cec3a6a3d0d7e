from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest

from edge_retina.config import Config, QuantizeConfig, load_config
from edge_retina.datasets.schema import Example
from edge_retina.runtime.image import load_image

pytestmark = pytest.mark.tf

LABELS = ("a", "b", "c")
STEPS = 4


@pytest.fixture
def model(healthy: SimpleNamespace) -> Iterator[SimpleNamespace]:
    """`healthy`, to be trained."""
    yield healthy
    healthy.restore()
    healthy.quantized.range_rate.assign(0.0)


@pytest.fixture
def config(healthy: SimpleNamespace) -> Config:
    shapes = [[list(shape) for shape in level] for level in healthy.grid.shapes]
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
    healthy: SimpleNamespace,
    config: Config,
    tmp_path: Path,
    blurred_pictures: Callable[[int, int], Any],
) -> tuple[Example, ...]:
    """Pictures labelled with what the float model finds in them, so that its mAP is 1."""
    from edge_retina.model.predictor import KerasPredictor

    teacher = KerasPredictor(
        healthy.float_model, anchors=healthy.grid, labels=LABELS, export=config.export
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

    predictor = quantized_predictor(model.quantized, config, LABELS)
    return evaluate(predictor, examples, labels=LABELS)[0].mAP or 0.0


def test_a_training_that_ruins_the_model_is_not_kept(
    model: SimpleNamespace, config: Config, examples: tuple[Example, ...], tmp_path: Path
) -> None:
    from edge_retina.model.deploy import join_levels
    from edge_retina.quantization.qat import train_quantized

    metrics_file = tmp_path / "metrics.jsonl"
    before = fake_quantised_map(model, config, examples)
    assert before > 0.5

    def train(val: tuple[Example, ...]) -> int:
        return train_quantized(
            model.quantized,
            join_levels(model.deploy),
            config=config,
            train=examples,
            val=val,
            labels=LABELS,
            steps=STEPS,
            metrics_file=metrics_file if val else None,
        )

    assert train(val=examples) == 0
    for name, value in model.quantized.weights().items():
        np.testing.assert_array_equal(value, model.weights[name], err_msg=name)
    assert model.quantized.activation_ranges() == model.ranges
    assert fake_quantised_map(model, config, examples) == before
    (line,) = metrics_file.read_text().splitlines()
    assert json.loads(line)["step"] == STEPS

    # Nothing to compare by: the last step is kept, and it is as bad as that.
    assert train(val=()) == STEPS
    assert fake_quantised_map(model, config, examples) < 0.5 * before
    kernel, bound = kernel_and_bound(model.quantized, "p3_lateral")
    np.testing.assert_allclose(bound, np.abs(kernel).max(axis=(0, 1, 2)), rtol=1e-6)


def kernel_and_bound(quantized: Any, name: str) -> tuple[np.ndarray, np.ndarray]:
    from edge_retina.model.keras_internals import quantized_kernels, wrappers

    ((kernel, _, variables),) = quantized_kernels(wrappers(quantized.model)[name])
    return kernel.numpy(), variables["bound"].numpy()


@pytest.mark.parametrize(
    "measured, kept",
    [
        ([0.5, 0.4, 0.3], 0),
        ([0.5, 0.6, 0.3], 10),
        ([0.5, 0.6, 0.7], 20),
        # up to 0.004 is noise, and the later state wins; it is counted from the best of all
        ([0.5, 0.5, 0.5], 20),
        ([0.5, 0.497, 0.4], 10),
        ([0.5, 0.495, 0.4], 0),
        ([0.5, 0.497, 0.494], 10),
        ([0.5, 0.6, 0.597], 20),
        ([None, None, None], 20),
    ],
)
def test_the_best_of_several_states(
    model: SimpleNamespace,
    config: Config,
    examples: tuple[Example, ...],
    monkeypatch: pytest.MonkeyPatch,
    measured: list[float | None],
    kept: int,
) -> None:
    from edge_retina.model.deploy import join_levels
    from edge_retina.quantization import qat

    results = iter(measured)
    monkeypatch.setattr(qat, "evaluate", lambda *_, **__: (SimpleNamespace(mAP=next(results)), []))
    best = qat._Best(
        model.quantized,
        join_levels(model.quantized.model),
        config=config,
        val=examples,
        labels=LABELS,
    )
    for step in (0, 10, 20):
        set_state(model, step)
        offered = model.quantized.weights()
        best.offer(step)
        # It is measured as it would be kept; training goes on from what it was.
        for name, value in model.quantized.weights().items():
            np.testing.assert_array_equal(value, offered[name])
    set_state(model, 99)
    assert best.restore(20) == kept
    bias = model.quantized.weights()["p3_lateral/bias"]
    np.testing.assert_allclose(bias, model.weights["p3_lateral/bias"] + kept, atol=0.1)
    model.quantized.round_biases()
    np.testing.assert_allclose(model.quantized.weights()["p3_lateral/bias"], bias, rtol=1e-6)
    assert model.quantized.activation_ranges()["p3_lateral"] == (-1.0 - kept, 1.0 + kept)


def set_state(model: SimpleNamespace, step: int) -> None:
    """Make a state that tells its step."""
    bias = model.weights["p3_lateral/bias"] + step
    model.quantized.set_weights(model.weights | {"p3_lateral/bias": bias})
    span = (-1.0 - step, 1.0 + step)
    model.quantized.set_activation_ranges(model.ranges | {"p3_lateral": span})


@pytest.mark.parametrize("evaluations, with_val", [(0, True), (4, False)])
def test_where_nothing_is_compared_nothing_is_measured(
    model: SimpleNamespace,
    config: Config,
    examples: tuple[Example, ...],
    monkeypatch: pytest.MonkeyPatch,
    evaluations: int,
    with_val: bool,
) -> None:
    from edge_retina.quantization import qat

    monkeypatch.setattr(qat, "evaluate", lambda *_, **__: pytest.fail("was measured"))
    quantize = dataclasses.replace(config.quantize, evaluations=evaluations)
    best = qat._Best(
        model.quantized,
        model.quantized.model,
        config=config.replace(quantize=quantize),
        val=examples if with_val else (),
        labels=LABELS,
    )
    best.offer(0)
    assert best.restore(7) == 7


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

    found = _evaluation_steps(steps, evaluations) - {0}  # step 0 is measured anyway
    assert found == expected


@pytest.mark.parametrize(
    "share_levels, freeze_at, moving",
    [
        (False, 0.5, [1, 2, 3, 4, 5]),
        (False, 0.0, []),
        (False, 1.0, list(range(1, 11))),
        (True, 0.5, []),
    ],
)
def test_ranges_stand_still_from_then_on(
    config: Config, share_levels: bool, freeze_at: float, moving: list[int]
) -> None:
    from edge_retina.quantization.qat import _range_rate

    config = config.replace(quantize=QuantizeConfig(freeze_ranges_at=freeze_at))
    quantized: Any = SimpleNamespace(recipe=SimpleNamespace(share_levels=share_levels))
    rates = {step: _range_rate(step, 10, quantized, config) for step in range(1, 11)}
    assert [step for step, rate in rates.items() if rate > 0] == moving
    assert set(rates.values()) <= {0.0, 0.01}

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edge_retina.boxes.anchors import AnchorGrid
from edge_retina.boxes.codec import decode
from edge_retina.config import LossConfig, MatchingConfig, TrainConfig

pytestmark = pytest.mark.tf

GRID = AnchorGrid((32, 32), 3, (((12.0, 12.0),),))  # 4 x 4 cells, one shape
ANCHORS = GRID.boxes_px()


def network(side: int = 32, seed: int = 0) -> Any:
    """A detector of two layers, with a BatchNorm."""
    from edge_retina.model.keras import keras

    keras.utils.set_random_seed(seed)
    image = keras.Input((side, side, 3))
    x = keras.layers.Conv2D(16, 8, strides=8)(image)
    x = keras.layers.ReLU()(keras.layers.BatchNormalization()(x))
    outputs = [
        keras.layers.Reshape(((side // 8) ** 2, width))(
            keras.layers.Conv2D(width, 3, padding="same")(x)
        )
        for width in (2, 4)
    ]
    return keras.Model(image, outputs)


def batch() -> tuple[Any, ...]:
    """Two pictures of noise with one object each, classes 0 and 1."""
    from edge_retina.input_pipeline.batch_objects import BatchObjects
    from edge_retina.input_pipeline.targets import make_assign_targets
    from edge_retina.model.keras import tf

    images = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3)).astype(np.uint8)
    boxes = ((5.0, 4.0, 18.0, 16.0), (14.0, 15.0, 27.0, 28.0))
    numbers = tf.constant([0, 1])
    objects = BatchObjects(tf.constant(boxes), numbers, numbers, 2)
    assign_targets = make_assign_targets(GRID, MatchingConfig())
    return (tf.constant(images), *assign_targets(objects, tf.constant([False, False])))


def step_of(model: Any, *, average: Any = None, ema_decay: float = 0.0, **options: Any) -> Any:
    """The step of the whole training; `options` of the TrainConfig, `plant` adds a loss."""
    from edge_retina.training.moving_average import MovingAverage
    from edge_retina.training.objective import detection_objective
    from edge_retina.training.optimizer import build_optimizer
    from edge_retina.training.step import TrainStep

    plant = options.pop("plant", lambda _variable: {})
    objective = detection_objective(model, anchors_px=ANCHORS, loss=LossConfig())
    variables = model.trainable_variables

    def planted(*batch: Any) -> Any:
        computed = objective(*batch)
        return computed._replace(losses={**computed.losses, **plant(variables[0])})

    return TrainStep(
        planted,
        variables,
        build_optimizer(TrainConfig(**options), variables),
        average=MovingAverage(average, model, decay=ema_decay) if average else None,
    )


def test_two_pictures_are_learnt_by_heart():
    from edge_retina.model.keras import tf

    model, batch_ = network(), batch()
    step = step_of(model)
    losses = [sum(step(*batch_, learning_rate=0.01).losses.values()) for _ in range(150)]
    assert losses[-1] < 0.05 * losses[0]
    cls_logits, box_deltas = model((tf.cast(batch_[0], tf.float32) - 128) / 128)
    for number, box in enumerate(((5, 4, 18, 16), (14, 15, 27, 28))):
        best = int(np.argmax(cls_logits[number].numpy().max(axis=1)))
        assert int(np.argmax(cls_logits[number, best])) == number
        found = decode(box_deltas[number].numpy(), ANCHORS)[best]
        np.testing.assert_allclose(found, box, atol=2.0)


def test_the_learning_rate_is_that_of_the_call():
    model = network()
    before = [v.numpy() for v in model.trainable_variables]
    step = step_of(model)
    step(*batch(), learning_rate=0.0)
    for variable, value in zip(model.trainable_variables, before, strict=True):
        np.testing.assert_array_equal(variable, value)
    step(*batch(), learning_rate=0.1)
    assert any(
        (v.numpy() != b).any() for v, b in zip(model.trainable_variables, before, strict=True)
    )


def test_losses_and_gradient_norm_are_reported_by_name():
    from edge_retina.model.keras import tf

    slope = 3e6  # large beside the gradient of the detection loss
    step = step_of(
        network(),
        plant=lambda v: {
            "extra": slope * tf.reduce_sum(v) + 7.0 - slope * tf.reduce_sum(tf.stop_gradient(v))
        },
    )
    result = step(*batch(), learning_rate=0.0)
    assert list(result.losses) == ["cls_loss", "box_loss", "extra"]
    assert result.losses["extra"] == pytest.approx(7.0, abs=2.0)
    count = 8 * 8 * 3 * 16
    assert result.gradient_norm == pytest.approx(slope * np.sqrt(count), rel=1e-3)


def test_a_step_without_figures_has_the_same_losses():
    from edge_retina.training.objective import detection_objective, without_figures
    from edge_retina.training.step import TrainStep

    found = []
    for wrap in (lambda objective: objective, without_figures):
        model = network()
        objective = wrap(detection_objective(model, anchors_px=ANCHORS, loss=LossConfig()))
        optimizer = keras_sgd(model)
        found.append(
            TrainStep(objective, model.trainable_variables, optimizer)(*batch(), learning_rate=0.1)
        )
    whole, bare = found
    assert bare.figures == {} != whole.figures
    assert bare.losses == pytest.approx(whole.losses, rel=1e-5)
    assert bare.gradient_norm == pytest.approx(whole.gradient_norm, rel=1e-5)


def keras_sgd(model: Any) -> Any:
    from edge_retina.model.keras import keras

    optimizer = keras.optimizers.SGD(0.1)
    optimizer.build(model.trainable_variables)
    return optimizer


def test_a_step_is_traced_once_and_without_a_warning(caplog: pytest.LogCaptureFixture):
    calls = []
    step = step_of(network(), plant=lambda _: calls.append(1) or {})
    for rate in (0.1, 0.2, 0.3):
        step(*batch(), learning_rate=rate)
    assert len(calls) == 1
    # TensorFlow counts the traces of all steps in the process, those of other tests too.
    assert [text for text in caplog.messages if "triggered tf.function retracing" not in text] == []


def test_the_average_follows_slowly_and_faster_at_first():
    model, average = network(), network()
    average.set_weights(model.get_weights())
    step = step_of(model, average=average, ema_decay=0.25)
    expected = [w.copy() for w in average.get_weights()]
    for count in (1, 2, 3):
        step(*batch(), learning_rate=0.05)
        decay = min(0.25, (1 + count) / (10 + count))  # 2/11, then .25
        expected = [
            decay * mean + (1 - decay) * value
            for mean, value in zip(expected, model.get_weights(), strict=True)
        ]
    for found, want in zip(average.get_weights(), expected, strict=True):
        np.testing.assert_allclose(found, want, rtol=1e-4, atol=1e-6)
    assert any(
        not np.allclose(a, m)
        for a, m in zip(average.get_weights(), model.get_weights(), strict=True)
    )


def infinite_gradient(variable: Any) -> dict[str, Any]:
    """A loss of 0 whose gradient is infinite in one of the numbers."""
    from edge_retina.model.keras import tf

    first = tf.reshape(variable, [-1])[0]
    return {"planted": tf.sqrt(first - tf.stop_gradient(first))}


def infinite_loss(variable: Any) -> dict[str, Any]:
    from edge_retina.model.keras import tf

    return {"planted": tf.reduce_sum(variable) * 0 + np.inf}


@pytest.mark.parametrize(
    "plant, finite_loss, clip_norm, optimizer",
    [
        # Every pair of two of them; all combinations take too long.
        (infinite_gradient, True, 10.0, "adamw"),
        (infinite_gradient, True, 0.0, "sgd"),
        (infinite_loss, False, 0.0, "adamw"),
        (infinite_loss, False, 10.0, "sgd"),
    ],
)
def test_what_is_not_finite_changes_nothing(
    plant: Any, finite_loss: bool, clip_norm: float, optimizer: str
):
    model, average = network(), network()
    average.set_weights(model.get_weights())
    options = {"average": average, "ema_decay": 0.9, "clip_norm": clip_norm}
    step = step_of(model, plant=plant, optimizer=optimizer, **options)
    slots = step._optimizer.variables
    kept = [v for v in (*model.trainable_variables, *slots) if "learning_rate" not in v.name]
    before = [v.numpy() for v in kept], average.get_weights()
    result = step(*batch(), learning_rate=0.1)
    assert np.isfinite(list(result.losses.values())).all() == finite_loss
    assert np.isfinite(result.gradient_norm) != finite_loss  # each is a case of its own
    assert np.isfinite(result.losses["cls_loss"])
    for variable, value in zip(kept, before[0], strict=True):
        np.testing.assert_array_equal(variable, value, err_msg=variable.name)
    for found, want in zip(average.get_weights(), before[1], strict=True):
        np.testing.assert_array_equal(found, want)


def test_the_distance_to_a_teacher_is_a_loss_and_the_teacher_stays():
    from edge_retina.training.objective import detection_objective

    model, teacher = network(), network()
    teacher.set_weights([w + 0.01 for w in teacher.get_weights()])
    kept = teacher.get_weights()
    losses = {
        weight: detection_objective(
            model, anchors_px=ANCHORS, loss=LossConfig(), teacher=teacher, distillation=weight
        )(*batch()).losses
        for weight in (1.0, 3.0)
    }
    assert list(losses[1.0]) == ["cls_loss", "box_loss", "distance"]
    assert float(losses[1.0]["distance"]) > 0
    assert float(losses[3.0]["distance"]) == pytest.approx(
        3 * float(losses[1.0]["distance"]), rel=1e-5
    )
    for found, want in zip(teacher.get_weights(), kept, strict=True):
        np.testing.assert_array_equal(found, want)


@pytest.mark.parametrize("frozen", [False, True])
def test_nothing_is_computed_in_frozen_layers_and_nothing_changes_there(frozen: bool):
    from edge_retina.model.keras import keras, tf

    model, average = network(), network()
    average.set_weights(model.get_weights())
    first = model.layers[: next(i for i, x in enumerate(model.layers) if x.name.startswith("re_"))]
    assert [type(x) for x in first][1:] == [keras.layers.Conv2D, keras.layers.BatchNormalization]
    for layer in first:
        layer.trainable = not frozen
    step = step_of(model, average=average, ema_decay=0.5)
    before = [[w.copy() for w in layer.get_weights()] for layer in model.layers]
    step(*batch(), learning_rate=0.01)
    for changed in (model, average):
        for layer, weights in zip(changed.layers, before, strict=True):
            pairs = zip(layer.get_weights(), weights, strict=True)
            same = [np.array_equal(found, kept) for found, kept in pairs]
            place = changed.layers.index(layer)
            assert all(same) if frozen and place < len(first) else not any(same), layer.name

    # The compiled step has a gradient for each kernel that is trained, and no others.
    graph = step._compiled.get_concrete_function(batch(), tf.constant(0.01)).graph
    kinds = [operation.type for operation in graph.get_operations()]
    assert kinds.count("Conv2DBackpropFilter") == (2 if frozen else 3)
    assert kinds.count("FusedBatchNormGradV3") == (0 if frozen else 1)


def test_a_model_comes_near_a_teacher_of_another_input_size():
    """By the distance alone, which the labels would disturb; labels are all ignored."""
    from edge_retina.boxes.matching import IGNORED
    from edge_retina.model.distillation import ImitationLoss
    from edge_retina.model.keras import tf
    from edge_retina.model.teacher import Teacher
    from edge_retina.training.objective import detection_objective
    from edge_retina.training.optimizer import build_optimizer
    from edge_retina.training.step import TrainStep

    model = network()
    source = network(side=48, seed=1)
    (classes,) = (layer for layer in source.layers if getattr(layer, "filters", 0) == 2)
    classes.bias.assign([1.0, -1.0])  # scores that are not all alike
    teacher = Teacher(source, own=AnchorGrid((48, 48), 3, (((18.0, 18.0),),)), grid=GRID)
    objective = detection_objective(
        model,
        anchors_px=ANCHORS,
        loss=LossConfig(),
        teacher=teacher,
        distillation=1.0,
        distance=ImitationLoss(LossConfig(), anchors_px=ANCHORS, counted=teacher.knows),
    )
    images, cls_targets, box_targets = batch()
    rng = np.random.default_rng(1)
    views = tf.constant(rng.integers(0, 256, (2, 48, 48, 3)).astype(np.uint8))
    ignored = tf.fill(tf.shape(cls_targets), IGNORED)
    optimizer = build_optimizer(TrainConfig(), model.trainable_variables)
    step = TrainStep(objective, model.trainable_variables, optimizer)
    kept = source.get_weights()
    losses = [
        step(images, ignored, box_targets, views, learning_rate=0.01).losses for _ in range(60)
    ]
    assert list(losses[0]) == ["cls_loss", "box_loss", "distance"]
    assert losses[0]["distance"] > 0.5
    assert losses[-1]["distance"] < losses[0]["distance"] / 4
    for found, want in zip(source.get_weights(), kept, strict=True):
        np.testing.assert_array_equal(found, want)

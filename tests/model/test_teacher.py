"""A detector's outputs at the anchors of another one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_retina.boxes.anchors import AnchorGrid
from edge_retina.boxes.codec import decode, encode
from edge_retina.config import load_config
from edge_retina.errors import RunError
from edge_retina.run_directory import RunDirectory

pytestmark = pytest.mark.tf

# 2 x 2 cells of two shapes on 16 px, 3 x 3 cells of one shape on 24 px.
GRID = AnchorGrid((16, 16), 3, (((8.0, 8.0), (2.0, 2.0)),))
OWN = AnchorGrid((24, 24), 3, (((12.0, 12.0),),))


def fixed_model(cls_logits: np.ndarray, box_deltas: np.ndarray) -> Any:
    """A model of 24 px that says the same about every image."""
    from edge_retina.model.keras import keras, tf

    image = keras.Input((24, 24, 3))
    outputs = [
        keras.layers.Lambda(lambda x, value=value: tf.repeat(value[None], tf.shape(x)[0], axis=0))(
            image
        )
        for value in (cls_logits, box_deltas)
    ]
    return keras.Model(image, outputs)


def test_outputs_are_those_of_the_like_anchor() -> None:
    """The teacher's boxes stay in their place, in codes of other anchors."""
    from edge_retina.model.teacher import Teacher

    rng = np.random.default_rng(0)
    logits = rng.normal(size=(9, 2)).astype(np.float32)
    boxes_norm = np.sort(rng.uniform(0, 1, (9, 2, 2)), axis=1).reshape(9, 4).astype(np.float32)
    deltas = encode(boxes_norm, OWN.boxes_norm())
    teacher = Teacher(fixed_model(logits, deltas), own=OWN, grid=GRID)
    assert teacher.input_hw == (24, 24)
    found_logits, found_deltas = teacher(np.zeros((2, 24, 24, 3), np.float32))
    corners = [0, 0, 2, 2, 6, 6, 8, 8]  # the nearest of the nine cells, for both shapes
    for image in range(2):
        np.testing.assert_array_equal(found_logits[image], logits[corners])
        boxes_px = decode(found_deltas[image].numpy(), GRID.boxes_px())
        np.testing.assert_allclose(boxes_px / 16, boxes_norm[corners], atol=1e-5)
    # Of half a side and 1/12 off: 5/12 of 6/12 each way, IoU 25/47; a shape of 1/8 is nothing like.
    np.testing.assert_array_equal(teacher.knows, [True, False] * 4)


def test_a_model_is_its_own_teacher_without_distance(
    make_retinanet: Callable[..., Any], blurred_pictures: Callable[..., Any]
) -> None:
    from edge_retina.config import LossConfig
    from edge_retina.model.distillation import ImitationLoss
    from edge_retina.model.teacher import Teacher
    from edge_retina.runtime.image import normalize

    model, grid = make_retinanet()
    images = normalize(blurred_pictures(2, 0))
    outputs = [x.numpy() for x in model(images, training=False)]
    teacher = Teacher(model, own=grid, grid=grid)
    assert teacher.knows.all()
    expected = teacher(images)
    np.testing.assert_array_equal(expected[0], outputs[0])
    np.testing.assert_allclose(expected[1], outputs[1], atol=1e-3)
    loss = ImitationLoss(LossConfig(), anchors_px=grid.boxes_px(), counted=teacher.knows)
    assert float(loss(*outputs, *expected)) == 0
    assert float(loss(outputs[0] + 1, outputs[1], *expected)) > 0


def test_a_teacher_does_not_learn(make_retinanet: Callable[..., Any]) -> None:
    """Not even the statistics of its BatchNorms, which follow whatever is trained on."""
    from edge_retina.model.teacher import Teacher

    model, grid = make_retinanet()
    before = model.get_weights()
    images = np.random.default_rng(0).normal(size=(2, 64, 64, 3)).astype(np.float32)
    Teacher(model, own=grid, grid=grid)(images)
    for value, kept in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(value, kept)


@pytest.mark.parametrize("damage", ["another network", "no weights"])
def test_weights_that_do_not_fit(damage: str, tmp_path: Path) -> None:
    from edge_retina.model.retinanet import build_retinanet
    from edge_retina.model.teacher import load_teacher

    small = ["model.image_size=32", "model.min_level=5", "model.max_level=5", "model.head_depth=0"]
    config = load_config(overrides=[*small, "model.fpn_channels=8"])
    grid = AnchorGrid((32, 32), 5, (((32.0, 32.0),),))
    run = RunDirectory(tmp_path)
    run.save_config(config)
    run.save_labels(("a",))
    run.save_anchors(grid)
    run.float_weights.parent.mkdir()
    if damage == "no weights":
        run.float_weights.write_text("no HDF5")
    else:
        other = load_config(overrides=[*small, "model.fpn_channels=16"])
        model = build_retinanet(other.model, num_classes=1, anchors=grid)
        model.save_weights(str(run.float_weights))
    with pytest.raises(RunError) as caught:
        load_teacher(run, grid=grid)
    assert str(caught.value).startswith(f"train.teacher: {run.float_weights}: can't be read (")
    assert str(caught.value).endswith("restore it, or train again in a new directory")
    assert "\n" not in str(caught.value)

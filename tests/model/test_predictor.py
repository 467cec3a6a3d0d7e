from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edge_retina.boxes.anchors import AnchorGrid
from edge_retina.config import ExportConfig

pytestmark = pytest.mark.tf

GRID = AnchorGrid((32, 64), 4, (((16.0, 16.0),),))  # 2 rows of 4 cells


class OneObject:
    """A model of two classes that finds one object, of class 1, in one anchor."""

    def __init__(self, anchor: int) -> None:
        from edge_retina.model.keras import tf

        self.anchor = tf.Variable(anchor)
        self.calls = 0

    def __call__(self, images: Any, *, training: bool) -> tuple[Any, Any]:
        from edge_retina.model.keras import tf

        assert images.shape == (1, 32, 64, 3)
        assert not training
        self.calls += 1
        logits = tf.one_hot(self.anchor, 8)[None, :, None] * [0.0, 14.0] - 7.0
        return logits, tf.zeros((1, 8, 4))


def predictor_of(model: OneObject) -> Any:
    from edge_retina.model.predictor import KerasPredictor

    return KerasPredictor(model, anchors=GRID, labels=("a", "b"), export=ExportConfig())


@pytest.mark.parametrize(
    "anchor, box",  # yxyx in fractions of the image
    [(0, [0, 0, 0.5, 0.25]), (3, [0, 0.75, 0.5, 1]), (6, [0.5, 0.5, 1, 0.75])],
)
def test_an_object_lies_where_its_anchor_is(anchor: int, box: list[float]) -> None:
    found = predictor_of(OneObject(anchor)).predict(np.zeros((10, 20, 3), np.uint8))
    np.testing.assert_allclose(found.boxes_norm, [box], atol=1e-6)
    assert found.classes.tolist() == [1]
    np.testing.assert_allclose(found.scores, 1 / (1 + np.exp(-7)), rtol=1e-5)


def test_one_predictor_follows_the_weights_without_tracing_again() -> None:
    model = OneObject(0)
    predictor = predictor_of(model)
    picture = np.zeros((10, 20, 3), np.uint8)
    first = predictor.predict(picture)
    model.anchor.assign(7)  # as a training step between two evaluations would
    second = predictor.predict(picture)
    assert first.boxes_norm[0, 0] == 0
    assert second.boxes_norm[0, 0] == 0.5
    assert model.calls == 1  # Python runs in tracing only

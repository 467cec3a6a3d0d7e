"""A moving average of a model's weights, which is what a training keeps."""

from __future__ import annotations

from edge_retina.model.keras import keras, tf


class MovingAverage:
    """Makes the weights of one model follow those of another of the same structure.

    BatchNorm statistics are averaged like everything else.
    """

    def __init__(self, average: keras.Model, model: keras.Model, *, decay: float) -> None:
        """`decay` is warmed up as min(decay, (1 + n) / (10 + n)) after n updates; 0 copies."""
        self._pairs = list(zip(average.weights, model.weights, strict=True))
        self._decay = decay

    def update(self, count: tf.Tensor) -> None:
        """Follow by one step, the `count`-th."""
        count = tf.cast(count, tf.float32)
        decay = tf.minimum(self._decay, (1 + count) / (10 + count))
        for mean, value in self._pairs:
            mean.assign_sub((1 - decay) * (mean - value))

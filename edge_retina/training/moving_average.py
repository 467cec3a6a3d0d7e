"""A moving average of a model's weights, which is what a training keeps."""

from __future__ import annotations

from edge_retina.model.keras import keras, tf
from edge_retina.training.distribution import Distribution


class MovingAverage:
    """Makes the weights of one model follow those of another of the same structure.

    BatchNorm statistics are averaged like everything else. Weights of frozen layers are left out:
    they never change, so that the average has them once it starts from the model's weights.
    """

    def __init__(
        self,
        average: keras.Model,
        model: keras.Model,
        *,
        decay: float,
        distribution: Distribution | None = None,
    ) -> None:
        """Take what follows what.

        Args:
            average: an ordinary model.
            model: may be mirrored on several devices.
            decay: warmed up as min(decay, (1 + n) / (10 + n)) after n updates; 0 copies.
            distribution: the devices of `model`; None for one device.
        """
        frozen = {
            weight.ref()
            for layer in model.layers
            if not layer.trainable
            for weight in layer.weights
        }
        pairs = zip(average.weights, model.weights, strict=True)
        local = (distribution or Distribution()).local
        self._pairs = [(mean, local(value)) for mean, value in pairs if value.ref() not in frozen]
        self._decay = decay

    def update(self, count: tf.Tensor) -> None:
        """Follow by one step, the `count`-th."""
        count = tf.cast(count, tf.float32)
        decay = tf.minimum(self._decay, (1 + count) / (10 + count))
        for mean, value in self._pairs:
            mean.assign_sub((1 - decay) * (mean - value))

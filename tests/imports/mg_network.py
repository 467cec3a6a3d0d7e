"""A network of the structure of the Model Garden's RetinaNet on MobileNetV2, in plain Keras.

Only what a checkpoint shows is alike: objects, names of attributes and layers, order of layers. It
shares no code with the package. benchmarks/import_parity.py compares with the real one.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from edge_retina.model.keras import keras, tf
from tests.imports.od_network import settle

# Strides, channels and expansion of the blocks of MobileNetV2; which of them feed the pyramid.
_SPECS = (
    *((1, 16, 1, 0), (2, 24, 6, 0), (1, 24, 6, 2), (2, 32, 6, 0), (1, 32, 6, 0), (1, 32, 6, 3)),
    *((2, 64, 6, 0), (1, 64, 6, 0), (1, 64, 6, 0), (1, 64, 6, 0), (1, 96, 6, 0), (1, 96, 6, 0)),
    *((1, 96, 6, 4), (2, 160, 6, 0), (1, 160, 6, 0), (1, 160, 6, 0), (1, 320, 6, 5)),
)


def _norm(name: str | None = None) -> Any:
    return keras.layers.BatchNormalization(momentum=0.0, epsilon=0.001, name=name)


def _separable(filters: int, size: int = 3, name: str | None = None, strides: int = 1) -> Any:
    bias = keras.initializers.RandomNormal(stddev=0.5)
    return keras.layers.SeparableConv2D(
        filters, size, strides=strides, padding="same", bias_initializer=bias, name=name
    )


class _Conv(keras.layers.Layer):
    def __init__(self, filters: int, size: int, strides: int) -> None:
        super().__init__()
        self._conv0 = keras.layers.Conv2D(
            filters, size, strides=strides, padding="same", use_bias=False
        )
        self._norm0 = _norm()

    def call(self, x: Any, training: bool = False) -> Any:
        return tf.nn.relu6(self._norm0(self._conv0(x), training=training))


class _Bottleneck(keras.layers.Layer):
    def __init__(self, before: int, filters: int, strides: int, expansion: int) -> None:
        super().__init__()
        self._expands, self._adds = expansion > 1, strides == 1 and before == filters
        self._conv0 = keras.layers.Conv2D(before * expansion, 1, use_bias=False)
        self._norm0 = _norm()
        self._conv1 = keras.layers.DepthwiseConv2D(
            3, strides=strides, padding="same", use_bias=False
        )
        self._norm1 = _norm()
        self._conv2 = keras.layers.Conv2D(filters, 1, use_bias=False)
        self._norm2 = _norm()

    def call(self, inputs: Any, training: bool = False) -> Any:
        x = inputs
        if self._expands:
            x = tf.nn.relu6(self._norm0(self._conv0(x), training=training))
        x = tf.nn.relu6(self._norm1(self._conv1(x), training=training))
        x = self._norm2(self._conv2(x), training=training)
        return x + inputs if self._adds else x


def _backbone(size: int, alpha: float) -> Any:
    def width(channels: int) -> int:
        rounded = max(8, int(channels * alpha + 4) // 8 * 8)
        return rounded + 8 if rounded < 0.9 * channels * alpha else rounded

    image = keras.Input((size, size, 3))
    x, before, taps = _Conv(width(32), 3, 2)(image), width(32), {}
    for strides, channels, expansion, level in _SPECS:
        x = _Bottleneck(before, width(channels), strides, expansion)(x)
        before = width(channels)
        if level:
            taps[str(level)] = x
    taps["6"] = _Conv(1280, 1, 1)(x)
    return keras.Model(image, taps)


def _decoder(features: dict[str, Any], filters: int) -> Any:
    inputs = {level: keras.Input(x.shape[1:]) for level, x in features.items() if level != "6"}
    lateral = {n: _separable(filters, 1, f"lateral_{n}")(inputs[str(n)]) for n in (3, 4, 5)}
    merged = {5: lateral[5]}
    for level in (4, 3):
        merged[level] = lateral[level] + keras.layers.UpSampling2D(2)(merged[level + 1])
    raw = {n: _separable(filters, 3, f"post_hoc_{n}")(merged[n]) for n in (3, 4, 5)}
    raw[6] = _separable(filters, 3, "coarser_6", 2)(raw[5])
    raw[7] = _separable(filters, 3, "coarser_7", 2)(tf.nn.relu6(raw[6]))
    return keras.Model(inputs, {str(n): _norm(f"norm_{n}")(raw[n]) for n in range(3, 8)})


class _Head(keras.layers.Layer):
    def __init__(self, *, classes: int, anchors: int, filters: int, convolutions: int) -> None:
        super().__init__()

        def tower() -> tuple[list[Any], list[list[Any]]]:
            convs = [_separable(filters) for _ in range(convolutions)]
            return convs, [[_norm() for _ in convs] for _ in range(5)]

        self._cls_convs, self._cls_norms = tower()
        self._classifier = _separable((classes + 1) * anchors)
        self._box_convs, self._box_norms = tower()
        self._box_regressor = _separable(4 * anchors)
        self._sizes = (classes + 1, 4)

    def call(self, features: dict[str, Any], training: bool = False) -> tuple[Any, Any]:
        nets = (
            (self._cls_convs, self._cls_norms, self._classifier),
            (self._box_convs, self._box_norms, self._box_regressor),
        )
        found = []
        for (convs, norms, last), size in zip(nets, self._sizes, strict=True):
            rows = []
            for index, level in enumerate(range(3, 8)):
                x = features[str(level)]
                for conv, norm in zip(convs, norms[index], strict=True):
                    x = tf.nn.relu6(norm(conv(x), training=training))
                x = last(x)
                rows.append(tf.reshape(x, [tf.shape(x)[0], -1, size]))
            found.append(tf.concat(rows, axis=1))
        return found[0], found[1]


class MgNetwork(keras.Model):
    """The network; its call returns class logits with background, and unscaled box codes."""

    def __init__(
        self,
        *,
        size: int = 128,
        alpha: float = 0.35,
        classes: int = 3,
        filters: int = 16,
        convolutions: int = 2,
        anchors: int = 9,
    ) -> None:
        """Build it with random weights, and BatchNorm statistics measured on random images."""
        super().__init__()
        keras.utils.set_random_seed(0)
        self._backbone = _backbone(size, alpha)
        self._decoder = _decoder(self._backbone.output, filters)
        self._head = _Head(
            classes=classes, anchors=anchors, filters=filters, convolutions=convolutions
        )
        images = np.random.default_rng(0).uniform(-1, 1, (4, size, size, 3)).astype(np.float32)
        settle(self, images)

    def call(self, images: Any, training: bool = False) -> tuple[Any, Any]:
        """Return (B, A, K + 1), the background first, and (B, A, 4)."""
        features = self._backbone(images, training=training)
        features = {level: x for level, x in features.items() if level != "6"}
        return self._head(self._decoder(features, training=training), training=training)

    def save(self, path: Path) -> Path:
        """Write a checkpoint as a training does; return its prefix."""
        return Path(tf.train.Checkpoint(model=self).write(str(path)))

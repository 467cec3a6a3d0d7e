"""A network of the structure that the TF2 Object Detection API publishes, in plain Keras.

Only what a checkpoint shows is alike: objects, names of attributes, order of layers. It shares no
code with the package, so that a parity test means something.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from edge_retina.model.keras import keras, tf

LEVELS = 5  # 3 to 7


def _norm() -> Any:
    # The momentum makes a single pass measure its statistics.
    return keras.layers.BatchNormalization(momentum=0.0, epsilon=0.001)


def _separable(filters: int, *, strides: int = 1, bias: bool = False) -> Any:
    options: dict[str, Any] = {}
    if bias:
        options["bias_initializer"] = keras.initializers.RandomNormal(stddev=1.0)
    return keras.layers.SeparableConv2D(
        filters, 3, strides=strides, padding="same", use_bias=bias, **options
    )


def _block(filters: int, *, strides: int = 1) -> list[Any]:
    return [_separable(filters, strides=strides), _norm(), keras.layers.ReLU(6.0)]


def _projection(filters: int) -> Any:
    bias = keras.initializers.RandomNormal(stddev=0.5)
    return keras.layers.Conv2D(filters, 1, padding="same", bias_initializer=bias)


def _apply(layers: list[Any], x: Any, *, training: bool) -> Any:
    for layer in layers:
        x = layer(x, training=training)
    return x


class _FeatureMaps(keras.Model):
    def __init__(self, depth: int) -> None:
        super().__init__()
        self.top_layers = [_projection(depth)]
        self.residual_blocks = [[_projection(depth)] for _ in range(2)]
        self.conv_layers = [_block(depth) for _ in range(2)]

    def call(self, features: list[Any], training: bool = False) -> list[Any]:
        maps = [_apply(self.top_layers, features[-1], training=training)]
        for residual, smoothing, feature in zip(
            self.residual_blocks, self.conv_layers, features[-2::-1], strict=True
        ):
            up = tf.repeat(tf.repeat(maps[-1], 2, axis=1), 2, axis=2)
            merged = up + _apply(residual, feature, training=training)
            maps.append(_apply(smoothing, merged, training=training))
        return maps[::-1]


class _Extractor(keras.Model):
    def __init__(self, *, alpha: float, depth: int, top: int, size: int) -> None:
        super().__init__()
        full = keras.applications.MobileNetV2(
            alpha=alpha, include_top=False, weights=None, input_shape=(size, size, 3)
        )
        last = full.get_layer("block_16_project_BN").output
        x = keras.layers.Conv2D(top, 1, use_bias=False, name="Conv_1")(last)
        x = keras.layers.BatchNormalization(name="Conv_1_bn")(x)
        x = keras.layers.ReLU(6.0, name="out_relu")(x)
        taps = [full.get_layer(name).output for name in ("block_5_add", "block_12_add")]
        self.classification_backbone = keras.Model(full.input, [*taps, x])
        for layer in self.classification_backbone.layers:
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.momentum = 0.0
        self._fpn_features_generator = _FeatureMaps(depth)
        self._coarse_feature_layers = [_block(depth, strides=2) for _ in range(2)]

    def call(self, images: Any, training: bool = False) -> list[Any]:
        features = self.classification_backbone(images, training=training)
        maps = self._fpn_features_generator(features, training=training)
        for layers in self._coarse_feature_layers:
            maps.append(_apply(layers, maps[-1], training=training))
        return maps


class _Head(keras.layers.Layer):
    def __init__(self, attribute: str, filters: int, outputs: int) -> None:
        super().__init__()
        self._layers_of_head = [_separable(filters, bias=True)]
        setattr(self, attribute, self._layers_of_head)
        self._outputs = outputs

    def call(self, x: Any) -> Any:
        x = self._layers_of_head[0](x)
        return tf.reshape(x, [tf.shape(x)[0], -1, self._outputs])


class _Predictor(keras.Model):
    def __init__(self, *, classes: int, anchors: int, depth: int, convolutions: int) -> None:
        super().__init__()
        shared = [_separable(depth) for _ in range(convolutions)]
        self._head_scope_conv_layers = {"PredictionTower": shared}
        towers = [
            [part for layer in shared for part in (layer, _norm(), keras.layers.ReLU(6.0))]
            for _ in range(LEVELS)
        ]
        self._base_tower_layers_for_heads = {
            "box_encodings": towers,
            "class_predictions_with_background": [[] for _ in range(LEVELS)],
        }
        self._box_prediction_head = _Head("_box_encoder_layers", 4 * anchors, 4)
        self._prediction_heads = {
            "class_predictions_with_background": _Head(
                "_class_predictor_layers", (classes + 1) * anchors, classes + 1
            )
        }

    def call(self, maps: list[Any], training: bool = False) -> tuple[Any, Any]:
        towers = self._base_tower_layers_for_heads["box_encodings"]
        features = [
            _apply(tower, x, training=training) for tower, x in zip(towers, maps, strict=True)
        ]
        head = self._prediction_heads["class_predictions_with_background"]
        classes = tf.concat([head(x) for x in features], axis=1)
        return classes, tf.concat([self._box_prediction_head(x) for x in features], axis=1)


def settle(network: Any, images: np.ndarray) -> None:
    """Give every BatchNorm random scales and shifts, and statistics that fit them."""
    rng = np.random.default_rng(0)
    network(images)
    for variable in network.trainable_variables:
        if variable.name.endswith("gamma:0"):
            variable.assign(rng.uniform(0.5, 1.0, variable.shape))
        elif variable.name.endswith("beta:0"):
            variable.assign(rng.uniform(0.0, 1.0, variable.shape))
    network(images, training=True)


class OdNetwork(keras.Model):
    """The network; its call returns class logits with background, and box codes."""

    def __init__(
        self,
        *,
        size: int = 320,
        alpha: float = 1.0,
        classes: int = 90,
        depth: int = 128,
        convolutions: int = 4,
        anchors: int = 6,
        top: int = 256,
        seed: int = 0,
    ) -> None:
        """Build it with random weights, and BatchNorm statistics measured on random images."""
        super().__init__()
        keras.utils.set_random_seed(seed)
        self._feature_extractor = _Extractor(alpha=alpha, depth=depth, top=top, size=size)
        self._box_predictor = _Predictor(
            classes=classes, anchors=anchors, depth=depth, convolutions=convolutions
        )
        rng = np.random.default_rng(seed)
        settle(self, rng.uniform(-1, 1, (4, size, size, 3)).astype(np.float32))

    def call(self, images: Any, training: bool = False) -> tuple[Any, Any]:
        """Return (B, A, K + 1) and (B, A, 4)."""
        return self._box_predictor(self._feature_extractor(images, training=training))

    def save(self, path: Path) -> Path:
        """Write a checkpoint as the API does; return its prefix."""
        return Path(tf.train.Checkpoint(model=self).write(str(path)))

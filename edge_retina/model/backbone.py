"""MobileNetV2 with taps at strides 8, 16 and 32."""

from __future__ import annotations

import logging
from pathlib import Path

from edge_retina.errors import ModelError
from edge_retina.model.keras import keras, tf

log = logging.getLogger(__name__)

# Keras builds MobileNetV2 with 0.999, a memory of a thousand steps: longer than a short
# fine-tuning.
BATCHNORM_MOMENTUM = 0.99

# The expanded tensors just before each stride, after ReLU6: six times as wide as the block outputs,
# which at width 0.35 have only 16 channels at stride 8. (SSD on MobileNetV2 taps the same places.)
TAPS = {3: "block_6_expand_relu", 4: "block_13_expand_relu", 5: "out_relu"}


def build_backbone(image: tf.Tensor, *, width: float) -> dict[int, tf.Tensor]:
    """Build MobileNetV2 (Sandler et al. 2018) on `image` without weights.

    Args:
        image: keras tensor (B, H, W, 3), normalised to about -1..1.
        width: alpha of MobileNetV2.

    Returns:
        Feature maps by level: 3, 4, 5 with strides 8, 16, 32.
    """
    network = keras.applications.MobileNetV2(
        input_tensor=image, alpha=width, include_top=False, weights=None
    )
    for layer in network.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = BATCHNORM_MOMENTUM
    return {level: network.get_layer(name).output for level, name in TAPS.items()}


def load_pretrained(model: keras.Model, *, pretrained: str, width: float) -> bool:
    """Fill the backbone of `model` with ImageNet weights, by layer name.

    Args:
        model: a model that contains the layers of `build_backbone`.
        pretrained: "imagenet" (Keras' own download), "none" or an .h5 file of the same width.
        width: alpha of MobileNetV2.

    Returns:
        Whether weights were loaded. Without a network "imagenet" warns and returns False.

    Raises:
        ModelError: the file is missing or of another shape.
    """
    if pretrained == "none":
        return False
    if pretrained == "imagenet":
        try:
            source = keras.applications.MobileNetV2(alpha=width, include_top=False)
        except Exception as error:  # Keras raises a bare Exception when the download fails
            if "URL fetch failure" not in str(error):
                raise
            log.warning(
                "ImageNet weights could not be downloaded; training starts from scratch and will "
                'be much less accurate. Set model.pretrained to an .h5 file, or to "none".'
            )
            return False
    else:
        source = _read_weights(pretrained, width)
    for layer in source.layers:
        if layer.weights:
            model.get_layer(layer.name).set_weights(layer.get_weights())
    return True


def _read_weights(path: str, width: float) -> keras.Model:
    if not Path(path).is_file():
        raise ModelError(
            f'model.pretrained: {path} not found; give an .h5 file, "imagenet" or "none"'
        )
    source = keras.applications.MobileNetV2(
        input_shape=(None, None, 3), alpha=width, include_top=False, weights=None
    )
    try:
        source.load_weights(path)
    except (ValueError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise ModelError(
            f"model.pretrained: {path} does not fit MobileNetV2 of width {width}: {reason}"
        ) from None
    return source

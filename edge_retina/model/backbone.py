"""Any network of the backbone table, tapped at strides 8, 16 and 32."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any

from edge_retina.backbones.table import BACKBONES
from edge_retina.errors import ModelError, first_line
from edge_retina.layer_names import RELU
from edge_retina.model.hdf5_check import DAMAGED_HDF5, check_weights_file
from edge_retina.model.keras import keras, tf
from edge_retina.model.keras_internals import layer_calls, rename_layer
from edge_retina.wirings.own import WIRING as OWN
from edge_retina.wirings.wiring import Wiring

log = logging.getLogger(__name__)

# Keras builds these networks with .99 or .999; the latter is a memory of a thousand steps, longer
# than a short fine-tuning.
BATCHNORM_MOMENTUM = 0.99
_UNNAMED_RELU = re.compile(r"re_lu(_\d+)?")


def build_backbone(
    image: tf.Tensor, *, backbone: str, width: float, wiring: Wiring = OWN
) -> dict[int, tf.Tensor]:
    """Build a backbone on `image` with random weights.

    Args:
        image: keras tensor (B, H, W, 3), normalised to about -1..1.
        backbone: a key of `BACKBONES`.
        width: alpha of the network: scales its channels.
        wiring: may name other taps, and other channels of the last convolution.

    Returns:
        Feature maps by level: 3, 4, 5 with strides 8, 16, 32.
    """
    network = _network(backbone, width, input_tensor=image)
    for layer in network.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = BATCHNORM_MOMENTUM
    taps = wiring.taps.get(backbone, BACKBONES[backbone].taps)
    features = {level: network.get_layer(name).output for level, name in taps.items()}
    if wiring.top_channels is not None:
        features[max(taps)] = _rebuild_top(network, wiring.top_channels)
    return features


def is_backbone_layer(name: str, backbone: str) -> bool:
    """Tell the backbone's layers from those of the pyramid and the heads.

    Args:
        name: of a layer of the float model or the deploy graph.
        backbone: a key of `BACKBONES`.
    """
    return name.startswith(BACKBONES[backbone].layer_prefixes)


def backbone_variables(model: keras.Model, backbone: str) -> list[tf.Variable]:
    """Return the trainable variables of the backbone's layers.

    Args:
        model: contains the layers of `build_backbone`.
        backbone: a key of `BACKBONES`.
    """
    layers = [layer for layer in model.layers if is_backbone_layer(layer.name, backbone)]
    return [variable for layer in layers for variable in layer.trainable_variables]


def freeze_stages(model: keras.Model, *, backbone: str, stages: int) -> None:
    """Make the first stages of the backbone keep their weights and BatchNorm statistics.

    Their BatchNorms use these statistics in training too. No trainable variable lies below the last
    frozen layer, so gradients end there.

    Args:
        model: changed in place, before its optimizer is built; contains the layers of
            `build_backbone`.
        backbone: a key of `BACKBONES`.
        stages: how many, 0..5; the last of them has stride 2**stages. Those that a pyramid with
            fewer levels doesn't use are not built, and not counted.
    """
    ends = BACKBONES[backbone].stage_ends
    names = {layer.name for layer in model.layers}
    built = [ends[stage] for stage in range(1, stages + 1) if ends[stage] in names]
    if built:
        for layer in keras.Model(model.input, model.get_layer(built[-1]).output).layers:
            layer.trainable = False


def load_pretrained(model: keras.Model, *, backbone: str, pretrained: str, width: float) -> None:
    """Load ImageNet weights into the backbone of `model`, layer by layer, by name.

    Args:
        model: contains the layers of `build_backbone`.
        backbone: a key of `BACKBONES`.
        pretrained: "imagenet" (Keras downloads them; if it can't, this warns and leaves the random
            weights), "none", or an .h5 file of the same network and width, without its top.
        width: alpha of the network.

    Raises:
        ModelError: the file is missing or belongs to another network or width.
    """
    if pretrained == "none":
        log.info("backbone: random weights")
        return
    if pretrained == "imagenet":
        source = _download(backbone, width)
        if source is None:
            return
    else:
        source = _read_weights(pretrained, backbone, width)
    built = {layer.name: layer for layer in model.layers}
    for layer in source.layers:
        # A pyramid that ends at level 3 or 4 doesn't use the last layers, so they aren't built. A
        # wiring may have a last convolution of another size, which stays random.
        here = built.get(layer.name)
        if layer.weights and here is not None and _shapes(here) == _shapes(layer):
            here.set_weights(layer.get_weights())
    log.info("backbone: %s, weights: %s", _describe(backbone, width), pretrained)


def _network(
    backbone: str, width: float, *, weights: str | None = None, **options: Any
) -> keras.Model:
    entry = BACKBONES[backbone]
    build = getattr(keras.applications, entry.keras_name)
    network = build(alpha=width, include_top=False, weights=weights, **entry.options, **options)
    _rename_layers(network)
    return network


def _shapes(layer: keras.layers.Layer) -> list[tuple[int, ...]]:
    return [tuple(weight.shape) for weight in layer.weights]


def _rebuild_top(network: keras.Model, channels: int) -> tf.Tensor:
    """Return the output of another last convolution, with BatchNorm and ReLU, by the same names."""
    *_, convolution, norm, relu = network.layers
    x = network.get_layer(convolution.name).input
    settings = convolution.get_config() | {"filters": channels}
    x = keras.layers.Conv2D.from_config(settings)(x)
    x = keras.layers.BatchNormalization.from_config(norm.get_config())(x)
    return keras.layers.ReLU.from_config(relu.get_config())(x)


def _rename_layers(network: keras.Model) -> None:
    """Give every layer a name without "/" that is the same in every process.

    Keras numbers layers without a name through the process, so a ReLU would be called otherwise in
    the next run, and its saved range would not be found. It is called after its convolution.
    """
    block: dict[int, str] = {}  # by tensor: name of the convolution it comes from
    for call in layer_calls(network):
        layer, source = call.layer, id(call.inputs[0]) if call.inputs else 0
        if isinstance(layer, keras.layers.ReLU) and _UNNAMED_RELU.fullmatch(layer.name):
            rename_layer(layer, block[source] + RELU)
        elif "/" in layer.name:  # would end the layer's name within that of a tensor
            rename_layer(layer, layer.name.replace("/", "_"))
        is_norm = isinstance(layer, keras.layers.BatchNormalization)
        block[id(call.output)] = block[source] if is_norm else layer.name


def _describe(backbone: str, width: float) -> str:
    return f"{BACKBONES[backbone].keras_name} of width {width}"


def _download(backbone: str, width: float) -> keras.Model | None:
    try:
        # The size that the weights are published for; with another, Keras warns for nothing.
        return _network(backbone, width, weights="imagenet", input_shape=(224, 224, 3))
    except Exception as error:  # Keras raises a bare Exception when the download fails
        if "URL fetch failure" not in str(error):
            raise
        log.warning(
            "model.pretrained: could not download the ImageNet weights of %s (%s). Training starts "
            "from random weights and will be much less accurate; set model.pretrained to an .h5 "
            'file, or to "none" to silence this.',
            _describe(backbone, width),
            str(error).splitlines()[0],
        )
        return None


def _read_weights(path: str, backbone: str, width: float) -> keras.Model:
    if not Path(path).is_file():
        raise ModelError(
            f'model.pretrained: {path} not found; give an .h5 file, "imagenet" or "none"'
        )
    source = _network(backbone, width, input_shape=(None, None, 3))
    try:
        check_weights_file(Path(path))
        source.load_weights(path)
    except (*DAMAGED_HDF5, tf.errors.OpError) as error:
        reason = first_line(error)
        raise ModelError(
            f"model.pretrained: {path} does not fit {_describe(backbone, width)}: {reason}"
        ) from None
    return source

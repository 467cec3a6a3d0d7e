"""The graph without decoding and NMS: what the heads predict for every anchor.

For a client that decodes by itself: `runtime.raw_outputs` is one, MediaPipe Tasks another.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from edge_retina.model.keras import keras, tf
from edge_retina.runtime.tensor_contract import RAW


def raw_function(model: keras.Model) -> Callable[[tf.Tensor], dict[str, tf.Tensor]]:
    """Return a function from an image to raw outputs, ready to be converted.

    Args:
        model: a deploy graph, float or fake-quantised: outputs by level, class logits then box
            codes.

    Returns:
        A tf.function of `image` (1, H, W, 3) normalised float32, that returns the outputs of
        `tensor_contract.RAW` by name.
    """
    shape = (1, *model.input_shape[1:])

    @tf.function(input_signature=[tf.TensorSpec(shape, tf.float32, name="image")])
    def predict(image: tf.Tensor) -> dict[str, tf.Tensor]:
        outputs = model(image, training=False)
        half = len(outputs) // 2
        codes, logits = _join_levels(outputs[half:]), _join_levels(outputs[:half])
        return dict(zip(RAW.names, (codes, tf.sigmoid(logits)), strict=True))

    return predict


def _join_levels(levels: Sequence[tf.Tensor]) -> tf.Tensor:
    """Concatenate (1, A_l, N) of all levels in float.

    Alone, concatenation and sigmoid would be carried out in int8: one range for all levels, and
    scores in steps of 1/256. Arithmetic makes the converter dequantise each level with its own
    range first (see `detection_graph.postprocess`); halving and doubling change no float.
    """
    return 2.0 * tf.concat([level / 2.0 for level in levels], axis=1)

"""Make tiny_float32.tflite and tiny_uint8.tflite: detectors that tests can compute by hand.

Run: `python tests/golden/make_tiny_detector.py` (needs the `train` extra; `make golden` calls it).

Both take a 32x32 picture and follow the tensor contract of an exported detector. With m = mean of
the normalised input, in -1..1, they say, for N = 4 rows and count 2:

    row  box (yxyx)       class  score
    0    0 0 1 1          0      0.25
    1    .1 .2 .5 .6      1      0.5 + 0.25 m

The rows are not sorted by score, so a reader that relies on the order is caught. The uint8 file has
its labels inside, as export writes them; the float32 file has none.
"""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

import tensorflow as tf

HERE = Path(__file__).parent
LABELS = ("disc", "square")


class TinyDetector(tf.Module):
    """The formula of this file's docstring, after the normalisation of `runtime.image`."""

    def detect(self, normalized: tf.Tensor) -> dict[str, tf.Tensor]:
        """Return the four outputs for a (1, 32, 32, 3) float32 picture."""
        mean = tf.reshape(tf.reduce_mean(normalized), [1, 1])
        quiet = tf.constant([[0.25]])
        unused = tf.zeros([1, 2])
        zero = 0.0 * mean  # ties every output to the input, as in a real detector
        boxes = tf.constant([[[0, 0, 1, 1], [0.1, 0.2, 0.5, 0.6], [0] * 4, [0] * 4]], tf.float32)
        return {
            "boxes": boxes + zero[:, :, None],
            "classes": tf.constant([[0.0, 1.0, 0.0, 0.0]]) + zero,
            "scores": tf.concat([quiet + zero, 0.5 + 0.25 * mean, unused], axis=1),
            "count": tf.reshape(2.0 + zero, [1]),
        }

    @tf.function(input_signature=[tf.TensorSpec([1, 32, 32, 3], tf.float32, name="image")])
    def float_input(self, image: tf.Tensor) -> dict[str, tf.Tensor]:
        """Take the normalised picture."""
        return self.detect(image)

    @tf.function(input_signature=[tf.TensorSpec([1, 32, 32, 3], tf.uint8, name="image")])
    def uint8_input(self, image: tf.Tensor) -> dict[str, tf.Tensor]:
        """Take pixel values."""
        return self.detect((tf.cast(image, tf.float32) - 128.0) / 128.0)


def convert(module: TinyDetector, function: tf.types.experimental.PolymorphicFunction) -> bytes:
    """Return the .tflite file of one of the module's functions."""
    concrete = function.get_concrete_function()
    return tf.lite.TFLiteConverter.from_concrete_functions([concrete], module).convert()


def main() -> None:
    """Write both files beside this script."""
    module = TinyDetector()
    (HERE / "tiny_float32.tflite").write_bytes(convert(module, module.float_input))
    labelled = HERE / "tiny_uint8.tflite"
    labelled.write_bytes(convert(module, module.uint8_input))
    # A fixed date, so that the file has the same bytes each time
    entry = zipfile.ZipInfo("labels.txt", date_time=(1980, 1, 1, 0, 0, 0))
    with zipfile.ZipFile(labelled, "a", zipfile.ZIP_STORED) as archive:
        archive.writestr(entry, "".join(f"{label}\n" for label in LABELS))


if __name__ == "__main__":
    main()

"""The only module that imports tf_keras. Everything else takes `keras` and `tf` from here.

tensorflow-model-optimization works on Keras 2, which TensorFlow finds under `tf.keras` only if the
switch below is set before its first import.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

os.environ["TF_USE_LEGACY_KERAS"] = "1"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from edge_retina.runtime.start_up_lines import without_start_up_lines

with without_start_up_lines():
    import tensorflow as tf
    import tf_keras as keras

    tf.config.list_physical_devices()  # asks CUDA, whose answers go to the log

__all__ = ["computing_in", "keras", "tf"]

_POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16"}


@contextmanager
def computing_in(precision: str) -> Iterator[None]:
    """Let layers that are built within it compute in a precision; their variables are float32.

    Args:
        precision: "float32" or "bfloat16".
    """
    before = keras.mixed_precision.global_policy()
    keras.mixed_precision.set_global_policy(_POLICIES[precision])
    try:
        yield
    finally:
        keras.mixed_precision.set_global_policy(before)

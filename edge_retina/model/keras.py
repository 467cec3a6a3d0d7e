"""The only module that imports tf_keras. Everything else takes `keras` and `tf` from here.

tensorflow-model-optimization works on Keras 2, which TensorFlow finds under `tf.keras` only if the
switch below is set before its first import.
"""

from __future__ import annotations

import os

os.environ["TF_USE_LEGACY_KERAS"] = "1"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import tensorflow as tf
import tf_keras as keras

__all__ = ["keras", "tf"]

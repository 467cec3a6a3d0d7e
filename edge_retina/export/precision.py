"""The precisions a model can be exported in; free of TensorFlow, for the command line."""

from __future__ import annotations

PRECISIONS = ("float32", "float16", "int8")
DEFAULT_PRECISIONS = ("float32", "int8")

# float16 is how the weights are stored; inputs, outputs and activations stay float32.
INPUT_DTYPES = {"float32": "float32", "float16": "float32", "int8": "uint8"}

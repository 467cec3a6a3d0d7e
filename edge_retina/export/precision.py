"""The precisions a model can be exported in; free of TensorFlow, for the command line."""

from __future__ import annotations

from collections.abc import Iterable

from edge_retina.errors import ConfigError, choices_hint

PRECISIONS = ("float32", "float16", "int8")
DEFAULT_PRECISIONS = ("float32", "int8")

# float16 is how the weights are stored; inputs, outputs and activations stay float32.
INPUT_DTYPES = {"float32": "float32", "float16": "float32", "int8": "uint8"}


def check_precisions(names: Iterable[str]) -> None:
    """Refuse names that are none of `PRECISIONS`.

    Raises:
        ConfigError: names the first of them.
    """
    for name in names:
        if name not in PRECISIONS:
            raise ConfigError(f"precision {name!r}: {choices_hint(name, PRECISIONS)}")

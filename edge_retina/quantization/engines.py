"""Who fake-quantises: tensorflow-model-optimization (tfmot), or layers of this package.

tfmot has had no release since 2024. The day it no longer installs, `quantize.engine = "own"` does
the same without it; tests prove that both give the same numbers and the same file.
"""

from __future__ import annotations

from collections.abc import Callable

from edge_retina.errors import ConfigError, choices_hint, first_line
from edge_retina.model.keras import keras
from edge_retina.quantization.fake_quant_layers import FakeQuantized

Wrap = Callable[..., keras.layers.Layer]


def wrap_of(engine: str) -> Wrap:
    """Return what wraps a layer, called like `FakeQuantized`.

    Args:
        engine: "tfmot" or "own".

    Raises:
        ConfigError: there is no such engine, or its package is not installed.
    """
    if engine not in _WRAPS:
        raise ConfigError(
            f"quantize.engine: there is no {engine!r}; {choices_hint(engine, _WRAPS)}"
        )
    return _WRAPS[engine]()


def _own() -> Wrap:
    return FakeQuantized


def _tfmot() -> Wrap:
    try:
        from edge_retina.quantization.tfmot_layers import FakeQuantizedByTfmot
    except ImportError as error:
        raise ConfigError(
            'quantize.engine = "tfmot" needs tensorflow-model-optimization, which can\'t be '
            f'imported ({first_line(error)}); install it (pip install "edge-retina[train]") or '
            'set quantize.engine = "own", which makes the same files'
        ) from error
    return FakeQuantizedByTfmot


_WRAPS: dict[str, Callable[[], Wrap]] = {"own": _own, "tfmot": _tfmot}

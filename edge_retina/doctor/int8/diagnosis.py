"""Which layers lose accuracy in int8, and which setting helps."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edge_retina.doctor.findings import Case, Finding, Kind
from edge_retina.int8.layer_error import LayerError

SCHEMA_VERSION = 1

# The worst layer of the trained bccd model has 29 dB of its own, most have 30 to 50; a layer spoilt
# on purpose (tests/quantization/test_microscope.py) had 12. At 20 dB the noise is a tenth of the
# signal in amplitude.
_POOR_DB = 20.0
# Of the median channel. A trained network that loses nothing visible has a head layer at 14 dB; one
# channel that is 200 times the others leaves them -3 dB.
_POOR_CHANNEL_DB = 10.0
_POOR_WEIGHT_DB = 20.0
_SATURATED = 0.005  # share of values; min/max ranges of good pictures leave about a thousandth out
# The pictures are suspected if this share of the layers is cut off a little. On chess and bccd,
# trained networks of 121 layers, more than a thousandth of the values was cut off in no layer by
# any method (8 or 24 pictures), but in 38 and 67 % of the layers after calibration with black
# pictures, 61 and 64 % with white ones, 17 and 32 % with noise; in few of these it was 0.5 %.
_MANY_LAYERS = 0.1
_SLIGHTLY_SATURATED = 0.001
_WIDE_USE = 0.25  # share of the range
_SPREAD = 20.0  # largest channel over the median one
_FILE_AGREEMENT = 0.999
_RANKED = 10

_CALIBRATION = Kind(
    "calibration-pictures",
    "error",
    "Layers whose ranges are too small for these pictures",
    why="many ranges cut values off at once: the calibration pictures don't look like the data "
    "(wrong set, black or constant pictures, different preprocessing)",
    remedy="check the pictures of quantize.calibration_set or drop it, raise "
    "quantize.calibration_images, and quantize again",
)
_RANGE_TOO_SMALL = Kind(
    "saturated-range",
    "error",
    "Layers whose range cuts values off",
    why="values beyond the range are clipped, and the strongest activations are the objects",
    remedy='quantize again with quantize.ranges = "minmax" and more calibration images, or keep '
    "the layer's output in float by a recipe",
)
_UNLIKE_CHANNELS = Kind(
    "outlier-channel",
    "error",
    "Layers in which one channel is far larger than the others",
    why="all channels of an output share one scale, so the large one costs the others resolution",
    remedy="equalise the channels with quantize.equalize = true (between a pair of ReLU6 layers "
    'also quantize.relu = "relu"), or keep the layer\'s output in float by a recipe',
)
_WEIGHTS = Kind(
    "coarse-weights",
    "error",
    "Kernels whose channels differ too much for one scale",
    why="small weights are rounded to nothing when they share a scale with large ones",
    remedy='set weights = "per-channel" for the layer in the recipe (the default), or equalise '
    "the channels with quantize.equalize = true",
)
_RANGE_TOO_WIDE = Kind(
    "wide-range",
    "warning",
    "Layers that use only a small part of their range",
    why="the steps are larger than necessary: an outlier set the range, or QAT moved it",
    remedy='quantize again with quantize.ranges = "mse" or "percentile"',
)
_OTHER = Kind(
    "noisy-layer",
    "warning",
    "Layers that lose much for no known reason",
    why="the rounding noise is more than a tenth of the signal",
    remedy="keep the layer in float by a recipe, and measure what that costs in latency",
)
_FILE_DIFFERS = Kind(
    "file-differs",
    "warning",
    "Layers whose output in the .tflite file differs from the simulation",
    why="given the same input, the runtime's kernel rounds differently or the converter changed "
    "the layer, so QAT trained for a different network",
    remedy="report it with the run's config: the simulation must match the file",
)
_UNMATCHED = Kind(
    "unmatched-tensors",
    "warning",
    "Tensors that could not be compared",
    why="the converter fused or renamed them, so their values in the file are unknown",
    remedy="report it with the file if the detector loses accuracy only in the file",
)


@dataclass(frozen=True)
class QuantizationDiagnosis:
    """What `doctor RUN --quantization` found.

    Attributes:
        method: "ptq" or "qat".
        pictures: how many were used.
        layers: in the order of computation.
        findings: errors first.
        ablation: share of the detector's error that goes away with each layer in float; empty if
            it was not asked for.
    """

    method: str
    pictures: int
    layers: tuple[LayerError, ...]
    findings: tuple[Finding, ...]
    ablation: Mapping[str, float]

    @property
    def ranked(self) -> list[LayerError]:
        """The layers that lose most by themselves, worst first."""
        return sorted(self.layers, key=_margin_db)[:_RANKED]

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON document, version first."""
        return {
            "schema_version": SCHEMA_VERSION,
            "method": self.method,
            "pictures": self.pictures,
            "findings": [finding.to_dict() for finding in self.findings],
            "ranked": [layer.name for layer in self.ranked],
            "layers": [dataclasses.asdict(layer) for layer in self.layers],
            "ablation": dict(self.ablation),
        }


def diagnose_quantization(
    layers: Sequence[LayerError],
    *,
    method: str,
    pictures: int,
    unmatched: Sequence[str] = (),
    ablation: Mapping[str, float] | None = None,
) -> QuantizationDiagnosis:
    """Find the layers that lose accuracy, and why.

    Args:
        layers: figures of every quantised output.
        method: "ptq" or "qat".
        pictures: how many they come from.
        unmatched: names of layers or tensors without a counterpart.
        ablation: see `QuantizationDiagnosis`.
    """
    findings = [*_blamed(layers), *_in_the_file(layers)]
    findings += _UNMATCHED.found([Case(name, "no counterpart") for name in unmatched])
    return QuantizationDiagnosis(method, pictures, tuple(layers), tuple(findings), ablation or {})


def recipe_rule(layer: LayerError) -> str:
    """Return the lines of a recipe that keep a layer in float."""
    names = dict.fromkeys(name for name in (layer.kernel, layer.name) if name)
    return "\n".join(
        f'[[layers]]\nmatch = "{name}"\nweights = "float"\nactivations = "float"' for name in names
    )


def _blamed(layers: Sequence[LayerError]) -> list[Finding]:
    """Return what is wrong with which layers; each is blamed once, for the first that fits."""
    worst_first = sorted(layers, key=_margin_db)
    saturated = [layer for layer in layers if layer.saturated > _SLIGHTLY_SATURATED]
    if len(saturated) > _MANY_LAYERS * len(layers):
        by_share = sorted(saturated, key=lambda layer: -layer.saturated)
        return _CALIBRATION.found([_saturation(layer) for layer in by_share])
    groups: dict[Kind, list[Case]] = {
        kind: [] for kind in (_RANGE_TOO_SMALL, _UNLIKE_CHANNELS, _WEIGHTS, _RANGE_TOO_WIDE, _OTHER)
    }
    for layer in worst_first:
        cause = _cause(layer)
        if cause is not None:
            kind, case = cause
            groups[kind].append(case)
    return [finding for kind, cases in groups.items() for finding in kind.found(cases)]


def _cause(layer: LayerError) -> tuple[Kind, Case] | None:
    poor = _margin_db(layer) < 0
    if layer.saturated > _SATURATED:
        return _RANGE_TOO_SMALL, _saturation(layer)
    if layer.weight_snr_db is not None and layer.weight_snr_db < _POOR_WEIGHT_DB and poor:
        detail = f"{layer.weight_snr_db:.0f} dB in the weights of its worst channel"
        return _WEIGHTS, Case(layer.kernel, f"{detail}; {_own(layer)}")
    if not poor:
        return None
    if layer.channel_spread > _SPREAD:
        detail = f"the largest channel is {layer.channel_spread:.0f} times the median one"
        return _UNLIKE_CHANNELS, Case(layer.name, f"{detail}; {_own(layer)}")
    if layer.range_use < _WIDE_USE:
        detail = f"values reach {layer.range_use:.0%} of {layer.low:.3g}..{layer.high:.3g}"
        return _RANGE_TOO_WIDE, Case(layer.name, f"{detail}; {_own(layer)}")
    return _OTHER, Case(layer.name, _own(layer))


def _margin_db(layer: LayerError) -> float:
    """Return how far a layer is from being poor; negative if it is."""
    return min(layer.own_snr_db - _POOR_DB, layer.channel_snr_db - _POOR_CHANNEL_DB)


def _saturation(layer: LayerError) -> Case:
    return Case(
        layer.name,
        f"{layer.saturated:.1%} of the values lie beyond {layer.low:.3g}..{layer.high:.3g}; "
        f"{_own(layer)}",
    )


def _own(layer: LayerError) -> str:
    return (
        f"{layer.own_snr_db:.0f} dB by itself ({layer.channel_snr_db:.0f} dB in its median "
        f"channel), {layer.snr_db:.0f} dB in the network"
    )


def _in_the_file(layers: Sequence[LayerError]) -> list[Finding]:
    cases = [
        Case(layer.name, f"{layer.op_equal:.2%} of the values are equal, given the same input")
        for layer in layers
        if layer.op_equal is not None and layer.op_equal < _FILE_AGREEMENT
    ]
    return _FILE_DIFFERS.found(cases)

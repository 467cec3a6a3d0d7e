"""A diagnosis of int8 as text for a terminal."""

from __future__ import annotations

from edge_retina.doctor.finding_text import finding_text
from edge_retina.doctor.int8.diagnosis import QuantizationDiagnosis, recipe_rule
from edge_retina.int8.layer_error import LayerError

_ABLATED = 10


def render_quantization(diagnosis: QuantizationDiagnosis) -> str:
    """Return the findings, the layers that lose most, and what helps."""
    blocks = [
        f"int8 by {diagnosis.method}, {len(diagnosis.layers)} quantised outputs on "
        f"{diagnosis.pictures} pictures"
    ]
    blocks += [finding_text(finding) for finding in diagnosis.findings]
    if not diagnosis.findings:
        blocks.append("No layer to blame.")
    blocks.append(_ranking(diagnosis.ranked))
    if diagnosis.ablation:
        blocks.append(_ablation(diagnosis))
    if diagnosis.ranked:
        rule = recipe_rule(diagnosis.ranked[0])
        blocks.append(f"The recipe that leaves the first of them in float:\n{rule}")
    return "\n\n".join(blocks)


def _ranking(layers: list[LayerError]) -> str:
    lines = [
        "Layers that lose most by themselves (signal to noise in dB)",
        f"  {'layer':<28}{'alone':>7}{'channel':>9}{'here':>7}{'file':>7}{'weights':>9}"
        f"{'range':>18}{'used':>6}{'cut off':>9}",
    ]
    for layer in layers:
        span = f"{layer.low:.3g}..{layer.high:.3g}"
        lines.append(
            f"  {layer.name:<28}{layer.own_snr_db:>7.1f}{layer.channel_snr_db:>9.1f}"
            f"{layer.snr_db:>7.1f}"
            f"{_decibels(layer.tflite_snr_db):>7}{_decibels(layer.weight_snr_db):>9}{span:>18}"
            f"{layer.range_use:>6.0%}{layer.saturated:>9.2%}"
        )
    return "\n".join(lines)


def _ablation(diagnosis: QuantizationDiagnosis) -> str:
    lines = ["Error of the detector that goes away with one layer in float"]
    gains = list(diagnosis.ablation.items())[:_ABLATED]
    lines += [f"  {name:<28}{gain:>7.1%}" for name, gain in gains]
    return "\n".join(lines)


def _decibels(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f}"

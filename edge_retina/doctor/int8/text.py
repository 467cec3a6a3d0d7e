"""A diagnosis of int8 as texts and tables for a terminal."""

from __future__ import annotations

from edge_retina.doctor.finding_text import finding_text
from edge_retina.doctor.int8.diagnosis import QuantizationDiagnosis, recipe_rule
from edge_retina.int8.layer_error import LayerError
from edge_retina.report.tables import MISSING, Column, Table

_ABLATED = 10


def quantization_blocks(diagnosis: QuantizationDiagnosis) -> list[str | Table]:
    """Return the findings, the layers that lose most, and what helps."""
    blocks: list[str | Table] = [
        f"int8 by {diagnosis.method}, {len(diagnosis.layers)} quantised outputs on "
        f"{diagnosis.pictures} pictures"
    ]
    blocks += [finding_text(finding) for finding in diagnosis.findings]
    if not diagnosis.findings:
        blocks.append("No layer stands out.")
    ranked = diagnosis.ranked
    if ranked:
        blocks.append(_ranking(ranked))
    if diagnosis.ablation:
        blocks.append(_ablation(diagnosis))
    if ranked:
        blocks.append(f"Recipe that keeps the worst layer in float:\n{recipe_rule(ranked[0])}")
    return blocks


def _ranking(layers: list[LayerError]) -> Table:
    columns = (
        Column("layer", text=True),
        Column("alone"),
        Column("channel"),
        Column("network"),
        Column("file"),
        Column("weights"),
        Column("range"),
        Column("used"),
        Column("cut off"),
    )
    title = "Layers that lose most by themselves (signal-to-noise ratio in dB)"
    return Table(columns, [_row(layer) for layer in layers], title=title)


def _row(layer: LayerError) -> tuple[str, ...]:
    return (
        layer.name,
        f"{layer.own_snr_db:.1f}",
        f"{layer.channel_snr_db:.1f}",
        f"{layer.snr_db:.1f}",
        _decibels(layer.tflite_snr_db),
        _decibels(layer.weight_snr_db),
        f"{layer.low:.3g}..{layer.high:.3g}",
        f"{layer.range_use:.0%}",
        f"{layer.saturated:.2%}",
    )


def _ablation(diagnosis: QuantizationDiagnosis) -> Table:
    gains = list(diagnosis.ablation.items())[:_ABLATED]
    return Table(
        (Column("layer in float", text=True), Column("error that goes away")),
        [(name, f"{gain:.1%}") for name, gain in gains],
        title="The detector's error that goes away with one layer in float",
    )


def _decibels(value: float | None) -> str:
    return MISSING if value is None else f"{value:.1f}"

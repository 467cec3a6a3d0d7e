"""What int8 does to every layer, as a section of a page."""

from __future__ import annotations

from collections.abc import Sequence

from edge_retina.int8.layer_error import LayerError
from edge_retina.report.charts import Series, line_chart
from edge_retina.report.tables import MISSING, Column, table


def layer_errors(layers: Sequence[LayerError]) -> str:
    """Return a chart of the signal to noise along the network and a table of all layers."""
    if not layers:
        return ""
    chart = line_chart(
        "Signal to noise by layer, dB",
        [
            _series("alone", [layer.own_snr_db for layer in layers]),
            _series("simulated network", [layer.snr_db for layer in layers]),
            _series(".tflite file", [layer.tflite_snr_db for layer in layers]),
        ],
        x_label="quantised output, in the order of computation",
    )
    columns = [
        Column("Layer", text=True),
        Column("Alone dB"),
        Column("Median channel dB"),
        Column("Network dB"),
        Column("File dB"),
        Column("Weights dB"),
        Column("Cosine"),
        Column("Range"),
        Column("Used"),
        Column("Cut off"),
        Column("RMSE/step"),
        Column("File within a step"),
        Column("Equal, same input"),
    ]
    ranked = sorted(layers, key=lambda layer: layer.own_snr_db)
    rows = table(columns, [_cells(layer) for layer in ranked])
    return (
        f"<section><h2>int8, layer by layer</h2>{chart}"
        '<p class="soft">Alone: only this layer is quantised and gets float input. Worst first.</p>'
        f"<details><summary>{len(layers)} layers</summary>{rows}</details></section>"
    )


def _series(name: str, values: Sequence[float | None]) -> Series:
    points = tuple((float(i), value) for i, value in enumerate(values) if value is not None)
    return Series(name, points)


def _cells(layer: LayerError) -> tuple[str, ...]:
    return (
        layer.name,
        f"{layer.own_snr_db:.1f}",
        f"{layer.channel_snr_db:.1f}",
        f"{layer.snr_db:.1f}",
        _optional(layer.tflite_snr_db, ".1f"),
        _optional(layer.weight_snr_db, ".1f"),
        f"{layer.cosine:.4f}",
        f"{layer.low:.3g}..{layer.high:.3g}",
        f"{layer.range_use:.0%}",
        f"{layer.saturated:.2%}",
        f"{layer.rmse_steps:.2f}",
        _optional(layer.within_step, ".2%"),
        _optional(layer.op_equal, ".3%"),
    )


def _optional(value: float | None, spec: str) -> str:
    return MISSING if value is None else format(value, spec)

"""What int8 does to every layer, as a chart and a table."""

from __future__ import annotations

from collections.abc import Sequence

from edge_retina.int8.layer_error import LayerError
from edge_retina.report.charts import Chart, Series, line_chart
from edge_retina.report.tables import MISSING, Column, Table

_COLUMNS = (
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
)


def layer_chart(layers: Sequence[LayerError]) -> Chart | None:
    """Return the signal-to-noise ratio along the network; None without layers."""
    return line_chart(
        "Signal-to-noise ratio by layer, dB",
        [
            _series("alone", [layer.own_snr_db for layer in layers]),
            _series("simulated network", [layer.snr_db for layer in layers]),
            _series(".tflite file", [layer.tflite_snr_db for layer in layers]),
        ],
        x_label="quantised output, in the order of computation",
    )


def layer_table(layers: Sequence[LayerError]) -> Table:
    """Return all layers with their figures, worst first."""
    ranked = sorted(layers, key=lambda layer: layer.own_snr_db)
    return Table(_COLUMNS, [_cells(layer) for layer in ranked])


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

from __future__ import annotations

import re

from edge_retina.int8.layer_error import LayerError
from edge_retina.report.layer_errors import layer_chart, layer_table


def layer(name: str, own_snr_db: float, **changes: float | None) -> LayerError:
    settings = {
        "kernel": "",
        "low": -1.25,
        "high": 5.1,
        "steps": 255,
        "snr_db": 30.04,
        "channel_snr_db": 38.0,
        "weight_snr_db": None,
        "cosine": 0.99876,
        "range_use": 0.9,
        "saturated": 0.00123,
        "channel_spread": 3.0,
        "rmse_steps": 0.314,
        "tflite_snr_db": None,
        "within_step": None,
        "op_equal": None,
    }
    return LayerError(name=name, own_snr_db=own_snr_db, **{**settings, **changes})


def rows(*layers: LayerError) -> list[dict[str, str]]:
    table = layer_table(layers)
    names = [column.name for column in table.columns]
    return [dict(zip(names, row, strict=True)) for row in table.rows]


def test_the_worst_layer_first_with_all_its_figures() -> None:
    compared = layer(
        "b", 20.0, weight_snr_db=44.4, tflite_snr_db=28.0, within_step=0.98765, op_equal=0.99987
    )
    first, second = rows(layer("a", 40.0), compared)
    assert second["Layer"] == "a"
    assert first == {
        "Layer": "b",
        "Alone dB": "20.0",
        "Median channel dB": "38.0",
        "Network dB": "30.0",
        "File dB": "28.0",
        "Weights dB": "44.4",
        "Cosine": "0.9988",
        "Range": "-1.25..5.1",
        "Used": "90%",
        "Cut off": "0.12%",
        "RMSE/step": "0.31",
        "File within a step": "98.77%",
        "Equal, same input": "99.987%",
    }


def test_what_was_not_compared_is_a_dash_and_no_point() -> None:
    layers = (layer("a", 40.0), layer("b", 30.0, tflite_snr_db=25.0))
    first, second = rows(*layers)
    for column in ("File dB", "Weights dB", "File within a step", "Equal, same input"):
        assert second[column] == "–"
    assert first["File dB"] == "25.0"
    assert layer_chart(layers).svg.count("<title>.tflite file 25 at 1</title>") == 1
    assert layer_chart(layers).svg.count("<title>.tflite file") == 1


def test_the_chart_has_the_order_of_computation() -> None:
    chart = layer_chart([layer("a", 40.0), layer("b", 20.0), layer("c", 30.0)])
    assert re.findall(r"<title>alone (\d+) at (\d)", chart.svg) == [
        ("40", "0"),
        ("20", "1"),
        ("30", "2"),
    ]


def test_no_layers() -> None:
    assert layer_chart([]) is None
    assert not layer_table([])

from __future__ import annotations

import re

from edge_retina.int8.layer_error import LayerError
from edge_retina.report.layer_errors import layer_errors


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


def rows(html: str) -> list[list[str]]:
    body = re.findall(r"<tr>(.*?)</tr>", html)
    return [re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", row) for row in body]


def test_the_worst_layer_first_with_all_its_figures() -> None:
    compared = layer(
        "b<1>", 20.0, weight_snr_db=44.4, tflite_snr_db=28.0, within_step=0.98765, op_equal=0.99987
    )
    html = layer_errors([layer("a", 40.0), compared])
    head, *body = rows(html)
    assert [row[0] for row in body] == ["b&lt;1&gt;", "a"]
    assert dict(zip(head, body[0], strict=True)) == {
        "Layer": "b&lt;1&gt;",
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
    assert "2 layers" in html


def test_what_was_not_compared_is_a_dash_and_no_point() -> None:
    html = layer_errors([layer("a", 40.0), layer("b", 30.0, tflite_snr_db=25.0)])
    (_, first, second) = rows(html)
    head = rows(html)[0]
    for column in ("File dB", "Weights dB", "File within a step", "Equal, same input"):
        assert second[head.index(column)] == "–"
    assert first[head.index("File dB")] == "25.0"
    assert "None" not in html


def test_the_chart_has_the_order_of_computation() -> None:
    html = layer_errors([layer("a", 40.0), layer("b", 20.0), layer("c", 30.0)])
    assert "Signal to noise by layer, dB" in html
    assert html.index("<svg") < html.index("<table")


def test_no_layers_no_section() -> None:
    assert layer_errors([]) == ""

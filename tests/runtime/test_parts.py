from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from edge_retina.runtime.graph import parse_graph
from edge_retina.runtime.parts import parts_of
from tests.runtime.foreign_model import ForeignModel, conv_options

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "tiny_float32.tflite"


def named_model(names: tuple[str, ...], *, suppression: str = "") -> bytes:
    """Return ABS, one 1x1 convolution for each name, EXP, and what suppresses and follows."""
    model = ForeignModel()
    shape = (1, 2, 2, 1)
    kernel = model.tensor("kernel", (1, 1, 1, 1), values=np.ones(1))
    bias = model.tensor("bias", (1,), values=np.ones(1))
    image = model.tensor("image", shape)
    last = model.tensor("prepared", shape)
    model.operator("ABS", [image], [last])
    for name in names:
        output = model.tensor(name, shape)
        model.operator("CONV_2D", [last, kernel, bias], [output], conv_options())
        last = output
    for operator in ("EXP", *([suppression, "NEG"] if suppression else [])):
        output = model.tensor(operator, shape)
        model.operator(operator, [last], [output])
        last = output
    return model.content(inputs=[image], outputs=[last])


def parts(content: bytes) -> list[str]:
    return list(parts_of(parse_graph(content, where="model")))


@pytest.mark.parametrize("model", ["int8/quant_", "deploy/"])
def test_our_layers_say_their_part(model: str) -> None:
    layers = ("block_3_expand", "p3_lateral", "tower_p3_conv0_pw", "cls_p3_out_pw", "box_p4_out_pw")
    content = named_model(tuple(f"{model}{layer}/Conv2D" for layer in layers))
    assert parts(content) == [
        *("input", "backbone", "FPN", "shared head", "class head", "box head", "decode")
    ]


@pytest.mark.parametrize(
    "suppression", ["NON_MAX_SUPPRESSION_V4", "TFLite_Detection_PostProcess", "CustomNMS"]
)
def test_a_foreign_file_by_structure(suppression: str) -> None:
    content = named_model(("model/p3_lateral", "model/last"), suppression=suppression)
    assert parts(content) == ["input", "network", "network", "decode", "NMS", "NMS"]


def test_a_file_without_weights_is_all_input() -> None:
    assert set(parts(GOLDEN.read_bytes())) == {"input"}


@pytest.mark.tf
def test_an_exported_file(int8_detector: SimpleNamespace) -> None:
    content = int8_detector.content
    graph = parse_graph(content, where="model")
    found = parts_of(graph)
    assert set(found) == {*("input", "backbone", "FPN", "class head", "box head", "decode", "NMS")}
    by_name = {op.name: part for op, part in zip(graph.operators, found, strict=True)}
    assert by_name["NON_MAX_SUPPRESSION_V4"] == "NMS"
    assert by_name["TOPK_V2"] == "decode"
    assert {part for op, part in zip(graph.operators, found, strict=True) if op.macs} == {
        *("backbone", "FPN", "class head", "box head")
    }

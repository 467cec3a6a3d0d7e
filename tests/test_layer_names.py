from __future__ import annotations

import pytest

from edge_retina.layer_names import (
    HeadLayer,
    is_class_logits,
    is_pyramid_layer,
    layer_of_tensor,
    level_of,
    output_of_reshape,
    parse_head_layer,
    without_level,
)


@pytest.mark.parametrize(
    "name, layer",
    [
        ("cls_conv0_dw", HeadLayer("cls", "conv0_dw")),
        ("box_conv12_pw", HeadLayer("box", "conv12_pw")),
        ("cls_p3_conv0_bn", HeadLayer("cls", "conv0_bn", 3)),
        ("box_p7_conv1_relu", HeadLayer("box", "conv1_relu", 7)),
        ("box_p10_out_dw", HeadLayer("box", "out_dw", 10)),
        ("cls_out_pw", HeadLayer("cls", "out_pw")),
        ("cls_p4_reshape", HeadLayer("cls", "reshape", 4)),
        # Not a head's, or not a layer of one
        ("cls_logits", None),
        ("box_deltas", None),
        ("p3_conv0_dw", None),
        ("block_3_expand_relu", None),
        ("cls_p3_out_relu", None),
        ("cls_p3_conv_dw", None),
        ("my_cls_p3_out_pw", None),
        ("cls_p3_out_pw_2", None),
        ("", None),
    ],
)
def test_parsing(name: str, layer: HeadLayer | None) -> None:
    assert parse_head_layer(name) == layer
    if layer is not None:
        assert layer.name == name


@pytest.mark.parametrize(
    "name, expected",
    [
        ("cls_p3_out_pw", True),
        ("cls_p12_out_pw", True),
        ("cls_p3_out_dw", False),
        ("box_p3_out_pw", False),
        ("cls_p3_conv0_pw", False),
        ("Conv_1", False),
    ],
)
def test_which_layers_put_out_class_logits(name: str, expected: bool) -> None:
    assert is_class_logits(name) == expected


@pytest.mark.parametrize(
    "name, expected",
    [
        ("cls_p3_conv0_relu", "cls_conv0_relu"),
        ("cls_p12_conv0_relu", "cls_conv0_relu"),
        ("box_out_pw", "box_out_pw"),
        ("p3_smooth_relu", "p3_smooth_relu"),
    ],
)
def test_levels_share_a_name(name: str, expected: str) -> None:
    assert without_level(name) == expected


def test_a_reshape_leads_to_its_convolution() -> None:
    assert output_of_reshape("box_p5_reshape") == "box_p5_out_pw"
    for name in ("box_p5_out_dw", "p5_reshape"):
        with pytest.raises(ValueError, match=f"layer {name} is not the reshape"):
            output_of_reshape(name)


@pytest.mark.parametrize(
    "tensor, layer",
    [
        ("int8/quant_p4_merge/add;int8/quant_p3_merge/add", "p4_merge"),
        ("int8/box_p3_out_dw/depthwise", "box_p3_out_dw"),  # left in float by a recipe
        ("deploy/block_3_expand_relu/Relu6;deploy/block_3_expand/Conv2D", "block_3_expand_relu"),
        ("StatefulPartitionedCall:0", "StatefulPartitionedCall:0"),
        ("other/quant_p4_merge/add", "other/quant_p4_merge/add"),
    ],
)
def test_the_layer_of_a_tensor(tensor: str, layer: str) -> None:
    assert layer_of_tensor(tensor) == layer


@pytest.mark.parametrize(
    "name, is_one",
    [
        ("p3_lateral", True),
        ("p7_down_bn", True),
        ("block_3_expand", False),
        ("cls_p4_conv0_bn", False),
    ],
)
def test_layers_of_the_pyramid(name: str, is_one: bool) -> None:
    assert is_pyramid_layer(name) == is_one


@pytest.mark.parametrize(
    "name, level",
    [
        ("p3_lateral", 3),
        ("p7_down_bn", 7),
        ("p10_up", 10),
        ("cls_p4_conv0_bn", 4),
        ("box_p6_reshape", 6),
        ("cls_conv0_dw", None),  # shared by all
        ("block_3_expand", None),
        ("p3", None),
        ("up3_lateral", None),
    ],
)
def test_levels(name: str, level: int | None) -> None:
    assert level_of(name) == level

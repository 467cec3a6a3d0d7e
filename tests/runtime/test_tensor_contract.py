from __future__ import annotations

import pytest

from edge_retina.runtime.tensor_contract import DETECTIONS, RAW, Shape, TensorContract, is_image


@pytest.mark.parametrize(
    "contract, shapes, sizes",
    [
        (DETECTIONS, [(1, 7, 4), (1, 7), (1, 7), (1,)], {"N": 7}),
        (RAW, [(1, 12, 4), (1, 12, 5)], {"A": 12, "K": 5}),
        (RAW, [(1, 4, 4), (1, 4, 4)], {"A": 4, "K": 4}),
        (DETECTIONS, [(1, 7, 4), (1, 8), (1, 7), (1,)], None),  # rows differ
        (DETECTIONS, [(1, 7, 4), (1, 7), (1, 7), ()], None),  # the count is a scalar
        (DETECTIONS, [(1, 7, 4), (1, 7), (1, 7)], None),
        (DETECTIONS, [(2, 7, 4), (2, 7), (2, 7), (2,)], None),
        (DETECTIONS, [], None),
        (RAW, [(1, 12, 5), (1, 12, 4)], None),  # in the other order
        (RAW, [(1, 12, 4), (1, 11, 5)], None),
    ],
)
def test_shapes_and_sizes(
    contract: TensorContract, shapes: list[Shape], sizes: dict[str, int] | None
) -> None:
    assert contract.sizes_of(shapes) == sizes
    if sizes is not None:
        assert contract.shapes(**sizes) == tuple(shapes)


def test_names_and_order_are_those_of_the_public_contract() -> None:
    assert DETECTIONS.names == ("boxes", "classes", "scores", "count")
    assert RAW.names == ("boxes", "scores")
    names = ("location", "category", "score", "number of detections")
    assert DETECTIONS.metadata_names == names
    assert str(DETECTIONS) == "boxes [1,N,4], classes [1,N], scores [1,N], count [1]"
    assert str(RAW) == "boxes [1,A,4], scores [1,A,K]"
    assert RAW.describe(A=12, K=5) == "boxes [1,12,4], scores [1,12,5]"


@pytest.mark.parametrize(
    "shape, expected",
    [
        ((1, 192, 320, 3), True),
        ((2, 192, 320, 3), False),
        ((1, 192, 320, 1), False),
        ((1, 0, 320, 3), False),
        ((192, 320, 3), False),
        ((), False),
    ],
)
def test_what_is_an_image(shape: Shape, expected: bool) -> None:
    assert is_image(shape) == expected

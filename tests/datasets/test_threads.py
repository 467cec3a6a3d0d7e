from __future__ import annotations

import pytest

from edge_retina.datasets.threads import map_in_threads


@pytest.mark.parametrize("count", [0, 1, 64, 65, 1000])
def test_results_are_in_the_order_of_the_items(count: int):
    assert map_in_threads(lambda item: item**2, range(count)) == [n**2 for n in range(count)]


def test_the_first_error_is_raised():
    def work(item: int) -> int:
        if item >= 100:
            raise ValueError(f"item {item}")
        return item

    with pytest.raises(ValueError, match="item 100"):
        map_in_threads(work, range(1000))

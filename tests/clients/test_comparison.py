from __future__ import annotations

import math

import pytest

from tests.clients.comparison import compare, nearest


def row(label: str, score: float, *box: float) -> dict:
    return {"label": label, "score": score, "box_px": list(box)}


A = row("a", 0.9, 10, 10, 50, 50)


@pytest.mark.parametrize(
    "got, rows, agreed",
    [
        ([A], 2, 2),
        ([row("a", 0.905, 10.9, 9.1, 50, 51)], 2, 2),  # within a pixel and 0.01
        ([row("a", 0.9, 10, 10, 50, 51.1)], 2, 0),  # one side is off
        ([row("a", 0.88, 10, 10, 50, 50)], 2, 0),  # the score is off
        ([row("b", 0.9, 10, 10, 50, 50)], 2, 0),  # another name
        ([row("a", 0.9, 10, 10, 50, 50), row("a", 0.5, 0, 0, 5, 5)], 3, 2),  # one too many
        ([row("a", 0.9, 10, 10, 50, 50), row("a", 0.29, 0, 0, 5, 5)], 2, 2),  # too weak to count
        ([], 1, 0),
    ],
)
def test_rows_of_both_sides_are_looked_for(got: list[dict], rows: int, agreed: int) -> None:
    found = compare({"p": [A]}, {"p": got})
    assert (found.rows, found.agreed) == (rows, agreed)
    assert found.is_full == (rows == agreed)


def test_nothing_found_anywhere_is_no_agreement() -> None:
    found = compare({"p": []}, {"p": []})
    assert (found.rows, found.is_full, found.max_box_px) == (0, False, 0.0)


def test_rows_are_not_looked_for_in_another_picture() -> None:
    found = compare({"p": [A], "q": []}, {"p": [], "q": [A]})
    assert (found.rows, found.agreed) == (2, 0)


def test_other_pictures_are_refused() -> None:
    with pytest.raises(ValueError, match="other pictures"):
        compare({"p": []}, {"q": []})


def test_the_nearest_row_of_the_same_label_counts() -> None:
    others = [
        row("b", 0.9, 10, 10, 50, 50),
        row("a", 0.8, 12, 10, 50, 50),
        row("a", 0.1, 0, 0, 1, 1),
    ]
    assert nearest(A, others) == (2.0, pytest.approx(0.1), pytest.approx(38 / 40))
    assert nearest(A, others[:1]) == (math.inf, math.inf, 0.0)


def test_origin_and_size_cut_to_whole_pixels() -> None:
    exact = row("a", 0.9, 10.9, 10.9, 50.8, 50.8)  # size 39.9
    cut = row("a", 0.9, 10, 10, 49, 49)  # size 39
    assert compare({"p": [exact]}, {"p": [cut]}).agreed == 0
    assert compare({"p": [exact]}, {"p": [cut]}, whole_pixels=True).is_full


@pytest.mark.parametrize("ymax, same", [(40.1, 2), (39.9, 0)])  # IoU 30.1/40 and 29.9/40
def test_the_same_object_is_one_of_enough_overlap(ymax: float, same: int) -> None:
    assert compare({"p": [A]}, {"p": [row("a", 0.5, 10, 10, ymax, 50)]}).same == same

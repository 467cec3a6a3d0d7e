from __future__ import annotations

import pytest

from edge_retina.datasets.splits import hash_split, split_name

NAMES = [f"picture-{number:02d}.jpg" for number in range(60)]
GOLDEN_VAL = ["picture-30.jpg"]
GOLDEN_TEST = ["picture-01.jpg", "picture-05.jpg", "picture-12.jpg", "picture-41.jpg"]


@pytest.mark.parametrize(
    "text, expected",
    [
        ("train", "train"),
        ("Training", "train"),
        ("train2017", "train"),
        ("instances_train2017", "train"),
        ("train_labels", "train"),
        ("valid", "val"),
        ("val2017", "val"),
        ("validation", "val"),
        ("VAL", "val"),
        ("annotations_test", "test"),
        ("test-2012", "test"),
        ("trainval", "trainval"),
        ("instances_trainval", "trainval"),
        ("raccoon_labels", "raccoon"),
        ("labels", "labels"),
    ],
)
def test_split_name(text: str, expected: str):
    assert split_name(text) == expected


def test_hash_split_is_the_same_on_every_machine():
    split = hash_split(NAMES, seed=0)
    assert split["val"] == GOLDEN_VAL
    assert split["test"] == GOLDEN_TEST
    assert sorted(name for names in split.values() for name in names) == NAMES


def test_hash_split_depends_on_the_seed():
    assert hash_split(NAMES, seed=0) != hash_split(NAMES, seed=1)


def test_hash_split_does_not_depend_on_the_order():
    forward, backward = hash_split(NAMES, seed=0), hash_split(NAMES[::-1], seed=0)
    assert {k: set(v) for k, v in forward.items()} == {k: set(v) for k, v in backward.items()}


def test_new_pictures_move_no_others():
    before, after = hash_split(NAMES, seed=0), hash_split([*NAMES, "a", "b", "c"], seed=0)
    for split, names in before.items():
        assert set(names) <= set(after[split])


def test_hash_split_shares():
    split = hash_split([f"{number}.png" for number in range(20000)], seed=3)
    shares = [len(split[name]) / 20000 for name in ("train", "val", "test")]
    assert shares == pytest.approx([0.8, 0.1, 0.1], abs=0.01)


@pytest.mark.parametrize(
    "count, sizes", [(0, (0, 0, 0)), (1, (1, 0, 0)), (2, (1, 1, 0)), (3, (1, 1, 1))]
)
def test_very_small_sets_have_every_split_that_they_can(count: int, sizes: tuple[int, ...]):
    # These names all fall into train by themselves.
    names = hash_split(NAMES, seed=0)["train"][:count]
    split = hash_split(names, seed=0)
    assert tuple(len(split[name]) for name in ("train", "val", "test")) == sizes

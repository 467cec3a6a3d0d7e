from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edge_retina.datasets.schema import Example
from edge_retina.int8.selection import CalibrationSet, select_calibration

Make = Callable[..., Example]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Write a grey picture with noise, of which a set of labelled 100 px squares is told."""
    rng = np.random.default_rng(0)

    def example(
        name: str, *objects: tuple[int, float], grey: float = 128, deviation: float = 0
    ) -> Example:
        """`objects`: (class, side)."""
        pixels = np.clip(rng.normal(grey, deviation, (32, 32)), 0, 255).astype(np.uint8)
        path = tmp_path / f"{name}.png"
        assert cv2.imwrite(str(path), cv2.cvtColor(pixels, cv2.COLOR_GRAY2BGR))
        boxes = np.array([(0, 0, side, side) for _, side in objects], np.float32).reshape(-1, 4)
        classes = np.array([label for label, _ in objects], np.int32)
        return Example(name, path, (100, 100), boxes, classes, np.zeros(len(objects), bool))

    return example


@pytest.fixture
def common(make: Make) -> list[Example]:
    """40 pictures of one class, size and look."""
    return [make(f"common-{i:02d}", (0, 20)) for i in range(40)]


@pytest.fixture
def rare(make: Make) -> list[Example]:
    """One each of what is rare."""
    return [
        make("rare-class", (1, 20)),
        make("small", (0, 3)),
        make("large", (0, 90)),
        make("empty"),
    ]


def ids_of(examples: list[Example], count: int, **changes: Any) -> tuple[str, ...]:
    return select_calibration(examples, count, **{"num_classes": 2, "seed": 0, **changes}).image_ids


@pytest.mark.parametrize("seed", range(5))
def test_every_rare_stratum_is_in(common: list[Example], rare: list[Example], seed: int) -> None:
    chosen = ids_of(common + rare, 5, seed=seed)
    assert {item.image_id for item in rare} < set(chosen)
    assert sum(name.startswith("common") for name in chosen) == 1


def test_chance_misses_what_is_rare(common: list[Example], rare: list[Example]) -> None:
    wanted = {item.image_id for item in rare}
    drawn = [ids_of(common + rare, 5, seed=seed, strategy="random") for seed in range(5)]
    assert not any(wanted <= set(chosen) for chosen in drawn)


def test_dark_and_bright_pictures_are_in_where_chance_misses_them(make: Make) -> None:
    rng = np.random.default_rng(0)
    greys, deviations = rng.uniform(100, 156, 60), rng.uniform(20, 50, 60)
    usual = zip(greys, deviations, strict=True)
    examples = [make(f"usual{i}", (0, 20), grey=g, deviation=d) for i, (g, d) in enumerate(usual)]
    for number in range(2):
        examples.append(make(f"dark{number}", (0, 20), grey=15, deviation=8))
        examples.append(make(f"bright{number}", (0, 20), grey=240, deviation=8))

    def complete(strategy: str) -> int:
        """Count the seeds for which both kinds are among 9 pictures."""
        drawn = [ids_of(examples, 9, seed=seed, strategy=strategy) for seed in range(10)]
        return sum({"dark", "bright"} <= {name[:-1] for name in ids} for ids in drawn)

    assert complete("random") < 5
    assert complete("stratified") == 10


def test_flat_and_rich_pictures_are_in(make: Make, common: list[Example]) -> None:
    """Contrast is a stratum too: of 44 pictures 2 are not flat."""
    examples = [*common, make("rich0", (0, 20), deviation=60), make("rich1", (0, 20), deviation=60)]
    for seed in range(5):
        assert any(name.startswith("rich") for name in ids_of(examples, 3, seed=seed))


def test_a_picture_counts_for_each_of_its_strata(make: Make, common: list[Example]) -> None:
    mixed = make("mixed", (0, 20), (1, 20))
    assert "mixed" in ids_of([*common, mixed], 10)


@pytest.mark.parametrize("strategy", ["stratified", "random", "first"])
@pytest.mark.parametrize("count, expected", [(0, 0), (1, 1), (7, 7), (44, 44), (1000, 44)])
def test_count(
    common: list[Example], rare: list[Example], strategy: str, count: int, expected: int
) -> None:
    chosen = ids_of(common + rare, count, strategy=strategy)
    assert len(chosen) == len(set(chosen)) == expected


@pytest.mark.parametrize("strategy", ["stratified", "random", "first"])
def test_no_pictures(strategy: str) -> None:
    assert ids_of([], 4, strategy=strategy) == ()


@pytest.mark.parametrize("strategy", ["stratified", "random"])
def test_the_seed_decides(common: list[Example], strategy: str) -> None:
    first, again, other = (
        select_calibration(common, 8, num_classes=2, seed=seed, strategy=strategy)
        for seed in (3, 3, 4)
    )
    assert first == again
    assert first.image_ids != other.image_ids
    assert (first.seed, other.seed) == (3, 4)
    assert first.strategy == strategy


def test_the_first_are_the_first(common: list[Example]) -> None:
    chosen = select_calibration(common, 3, num_classes=2, seed=5, strategy="first")
    assert chosen.image_ids == ("common-00", "common-01", "common-02")
    assert (chosen.strategy, chosen.seed) == ("first", 5)


def test_only_stratified_opens_pictures(common: list[Example]) -> None:
    for item in common:
        item.path.unlink()
    for strategy in ("random", "first"):
        assert len(ids_of(common, 8, strategy=strategy)) == 8
    assert len(ids_of(common, 40)) == 40  # all of them: nothing to choose


def test_of_a_large_set_a_part_is_looked_at(
    common: list[Example], monkeypatch: pytest.MonkeyPatch
) -> None:
    from edge_retina.int8 import selection

    opened: list[Path] = []
    load = selection.load_image
    monkeypatch.setattr(selection, "load_image", lambda path: opened.append(path) or load(path))
    monkeypatch.setattr(selection, "_LOOKED_AT", 10)
    assert len(ids_of(common, 4)) == 4
    assert len(opened) == 10
    assert len(ids_of(common, 20)) == 20  # never fewer than are wanted
    assert len(opened) == 30


def test_the_hash_is_that_of_the_ids_in_order() -> None:
    chosen = CalibrationSet(
        ("b", "a"), seed=0, sha256=hashlib.sha256(b"b\na\n").hexdigest(), strategy="first"
    )
    from edge_retina.int8.selection import calibration_set

    assert calibration_set(["b", "a"], seed=0, strategy="first") == chosen
    assert calibration_set(["a", "b"], seed=0, strategy="first").sha256 != chosen.sha256


def test_the_choice_is_the_same_on_every_machine(
    common: list[Example], rare: list[Example]
) -> None:
    chosen = select_calibration(common + rare, 6, num_classes=2, seed=0)
    assert set(chosen.image_ids[:5]) == {"common-02", "small", "large", "rare-class", "empty"}
    text = "\n".join(chosen.image_ids) + "\n"
    assert chosen.sha256 == hashlib.sha256(text.encode()).hexdigest()

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge_retina.boxes.anchors import AnchorGrid, default_shapes
from edge_retina.boxes.coverage import AnchorCoverage, best_iou
from edge_retina.boxes.kmeans import fit_shapes, kmeans_shapes, nearest_level
from edge_retina.datasets.loading import load_dataset
from edge_retina.datasets.objects import boxes_at_input

CENTRES = np.array([(10.0, 10.0), (12.0, 48.0), (60.0, 15.0)])  # in the order of their areas


def around(centres: np.ndarray) -> np.ndarray:
    """Five shapes about each centre, whose median is the centre."""
    jitter = np.array([(0, 0), (1, 1), (-1, -1), (1, -1), (-1, 1)])
    return (centres[:, None] + jitter).reshape(-1, 2)


@pytest.mark.parametrize("seed", range(5))
def test_three_clear_clusters_are_found_exactly(seed: int):
    rng = np.random.default_rng(seed)
    shapes = rng.permutation(around(CENTRES))
    np.testing.assert_array_equal(kmeans_shapes(shapes, 3, rng=rng), CENTRES)


def test_one_cluster_is_the_median():
    shapes = np.array([(10.0, 20.0), (12.0, 22.0), (11.0, 90.0)])
    found = kmeans_shapes(shapes, 1, rng=np.random.default_rng(0))
    np.testing.assert_array_equal(found, [(11, 22)])


@pytest.mark.parametrize(
    "shape, level",
    [
        ((32, 32), 3),  # 4 strides of 8
        ((64, 64), 4),
        ((128, 32), 4),  # by the square root of the area
        ((128, 128), 5),
        ((44, 44), 3),  # log2(44 / 4) = 3.46
        ((47, 47), 4),  # 3.55
        ((2, 2), 3),  # the finest takes all that is smaller
        ((900, 900), 5),  # the coarsest all that is larger
    ],
)
def test_nearest_level(shape: tuple[float, float], level: int):
    assert nearest_level(np.array([shape], float), (3, 4, 5)).tolist() == [level]


def test_each_level_fits_its_own_objects():
    small, large = around(np.array([(20.0, 30.0)])), around(np.array([(100.0, 150.0)]))
    # many small objects must not draw the shapes of the coarse level to themselves
    shapes = np.concatenate([small] * 50 + [large] * 2)
    fitted = fit_shapes(shapes, (3, 4, 5), per_cell=1).shapes
    assert fitted[0] == ((20.0, 30.0),)
    assert fitted[2] == ((100.0, 150.0),)
    assert fitted[1] == ((40.0, 60.0),)  # without objects: those of the finer neighbour, doubled


def test_shapes_are_sorted_and_as_many_as_asked():
    shapes = np.exp(np.random.default_rng(0).uniform(np.log(8), np.log(200), (300, 2)))
    fitted = fit_shapes(shapes, (3, 4, 5), per_cell=4).shapes
    assert [len(level) for level in fitted] == [4, 4, 4]
    for level in fitted:
        areas = [h * w for h, w in level]
        assert areas == sorted(areas)


def test_the_seed_decides():
    shapes = np.exp(np.random.default_rng(0).uniform(np.log(8), np.log(200), (300, 2)))
    first, again = (fit_shapes(shapes, (3, 4), per_cell=5, seed=1) for _ in range(2))
    assert first == again
    assert fit_shapes(shapes, (3, 4), per_cell=5, seed=2) != first


@pytest.mark.parametrize("objects", [np.zeros((0, 2)), np.array([[0.0, 5.0]])])
def test_without_objects_each_level_has_a_square_of_four_strides(objects: np.ndarray):
    fitted = fit_shapes(objects, (3, 4), per_cell=2)
    assert fitted.shapes == (((32.0, 32.0),), ((64.0, 64.0),))
    assert fitted.objects == ((0,), (0,))


def test_few_objects_give_their_aspect_ratio():
    fitted = fit_shapes(np.array([(40.0, 10.0)]), (3, 4), per_cell=3).shapes
    ratios = [h / w for level in fitted for h, w in level]
    np.testing.assert_allclose(ratios, 4, rtol=1e-3)
    assert fitted[0][0] == (64.0, 16.0)  # the area of a 32 px square


WIDE, TALL = (16.0, 64.0), (64.0, 16.0)  # both of level 3: 32 px


@pytest.mark.parametrize(
    "wide, tall, boxes_per_object, objects",
    [
        (12, 10, 1.0, (12, 10)),
        (12, 9, 1.0, (21,)),  # nine are too few for a shape
        (40, 20, 2.0, (20, 10)),
        (40, 19, 2.0, (30,)),  # 9.5 objects; 59 boxes are of 29.5
        (12, 10, 0.1, (120, 100)),  # a sample of 220 objects
        (12, 9, 0.1, (210,)),  # whatever they stand for, 9 boxes make no median
    ],
)
def test_a_shape_needs_ten_objects(
    wide: int, tall: int, boxes_per_object: float, objects: tuple[int, ...]
):
    shapes = np.array([WIDE] * wide + [TALL] * tall)
    fitted = fit_shapes(shapes, (3,), per_cell=2, boxes_per_object=boxes_per_object)
    assert sorted(fitted.objects[0], reverse=True) == list(objects)
    assert set(fitted.shapes[0]) == ({WIDE, TALL} if len(objects) == 2 else {WIDE})
    assert fitted.per_cell == len(objects)


def test_a_level_with_fewer_shapes_is_filled_with_the_most_different_of_its_neighbour():
    large = (36.0, 120.0)  # of level 4, near to twice WIDE
    shapes = np.array([WIDE] * 10 + [TALL] * 11 + [large] * 12)
    fitted = fit_shapes(shapes, (3, 4, 5), per_cell=4)
    assert fitted.per_cell == 2
    assert dict(zip(fitted.shapes[0], fitted.objects[0], strict=True)) == {WIDE: 10, TALL: 11}
    assert dict(zip(fitted.shapes[1], fitted.objects[1], strict=True)) == {
        large: 12,
        (128.0, 32.0): 0,
    }
    assert set(fitted.shapes[2]) == {(64.0, 256.0), (256.0, 64.0)}  # no objects: all of level 3's
    assert fitted.objects[2] == (0, 0)


def test_the_argument_is_left_alone():
    shapes = around(CENTRES)
    before = shapes.copy()
    fit_shapes(shapes, (3, 4), per_cell=2)
    np.testing.assert_array_equal(shapes, before)


def test_fitted_shapes_cover_real_cells_better_than_the_default_ones(shared_data: Path):
    path = shared_data / "bccd"
    if not path.is_dir():
        pytest.skip("the BCCD data set is not on this machine")
    # BCCD holds a few boxes without area; they are not what is measured here.
    examples = load_dataset(path, skip_invalid=True).split("train")[:100]
    objects = boxes_at_input(examples, (256, 256))
    levels = (3, 4, 5)
    fitted = fit_shapes(objects[:, 2:] - objects[:, :2], levels, per_cell=4).shapes
    ours, default = (
        AnchorCoverage.of(best_iou(AnchorGrid((256, 256), 3, shapes), objects))
        for shapes in (fitted, default_shapes(levels))
    )
    assert ours.best_possible_recall > default.best_possible_recall
    assert ours.best_possible_recall > 0.97
    assert ours.mean_best_iou > default.mean_best_iou

from __future__ import annotations

import numpy as np

from edge_retina.evaluation.assignment import assign_detections
from tests.evaluation.errors.made_split import LABELS, found, picture

BOX = (16, 16, 48, 48)
OTHER = (64, 64, 96, 96)


def test_each_detection_knows_its_object_and_picture():
    examples = [
        picture(("b", BOX)),
        picture(("a", OTHER), ("a", BOX), ("b", OTHER), crowd=[2]),
    ]
    detections = [
        found(("b", BOX, 0.5), ("a", BOX, 0.4)),
        found(("a", BOX, 0.9), ("b", OTHER, 0.7)),
    ]
    known = assign_detections(examples, detections, LABELS)
    # By class and falling score: a .9, a .4, b .7, b .5; objects count through all pictures
    np.testing.assert_array_equal(known.borders, [0, 2, 4, 4])
    np.testing.assert_array_equal(known.label, [0, 0, 1, 1])
    np.testing.assert_array_equal(known.detection, [2, 1, 3, 0])
    np.testing.assert_array_equal(known.picture, [1, 0, 1, 0])
    np.testing.assert_array_equal(known.matched[0], [2, -1, 3, 0])
    np.testing.assert_array_equal(known.ignored[0], [False, False, True, False])
    np.testing.assert_array_equal(known.right[0], [True, False, False, True])
    np.testing.assert_array_equal(known.wrong[0], [False, True, False, False])
    np.testing.assert_array_equal(known.object_picture, [0, 1, 1, 1])
    np.testing.assert_array_equal(known.object_class, [1, 0, 0, 1])
    np.testing.assert_array_equal(known.object_ignored, [False, False, False, True])
    np.testing.assert_allclose(known.score, [0.9, 0.4, 0.7, 0.5], rtol=1e-6)


def test_the_threshold_decides():
    """A box of three quarters of the object is right at IoU .50 to .75."""
    known = assign_detections([picture(("a", BOX))], [found(("a", (16, 16, 48, 40), 0.9))], LABELS)
    np.testing.assert_array_equal(known.right[:, 0], [True] * 6 + [False] * 4)


def test_nothing_at_all():
    known = assign_detections([picture()], [found()], LABELS)
    assert known.matched.shape == (10, 0)
    np.testing.assert_array_equal(known.borders, [0, 0, 0, 0])

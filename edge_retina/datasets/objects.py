"""The objects of many images in arrays, as training sees them: ignored ones left out."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from edge_retina.datasets.schema import Example

# A side in pixels of the network input. Below the stride of the finest level an object has less
# than one cell of the feature map to itself.
LEARNABLE_PX = 8.0


def boxes_at_input(examples: Iterable[Example], image_hw: tuple[int, int]) -> np.ndarray:
    """Return all boxes, (N, 4) float32 yxyx in pixels of a network input of `image_hw`."""
    boxes = (example.boxes_at(image_hw)[~example.ignored] for example in examples)
    return np.concatenate([np.zeros((0, 4), np.float32), *boxes])


def object_classes(examples: Iterable[Example]) -> np.ndarray:
    """Return the class of each of these boxes, (N,) int32 indices into the labels."""
    classes = (example.classes[~example.ignored] for example in examples)
    return np.concatenate([np.zeros(0, np.int32), *classes])

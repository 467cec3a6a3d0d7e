"""What every augmentation is: a function (sample, draw) -> sample.

It changes a sample in one of four ways:
- geometry: `sample.transform(matrix)`, in pixels of the image, about its centre;
- colour: `sample.recolour(matrix)`;
- pixels at the network's input size: `sample.finish(step)`, where all that is random in the step
  has been drawn already;
- anything else, another image's pixels included: return a new `Sample`. Such a function comes
  before all others in the table, for it sees the image without their changes.

Boxes are also drawn without pixels, so nothing but a `Picture.read` and a pixel step reads any, and
nothing that is drawn depends on them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from edge_retina.config import AugmentationConfig
from edge_retina.input_pipeline.sample import Sample


@dataclass(frozen=True)
class Draw:
    """What an augmentation may use in the drawing of one training image.

    Attributes:
        settings: ranges and probabilities.
        rng: the only source of chance, so that a draw can be repeated.
        draw_another: returns another sample of the training split, not augmented.
    """

    settings: AugmentationConfig
    rng: np.random.Generator
    draw_another: Callable[[np.random.Generator], Sample]

    def happens(self, probability: float) -> bool:
        """Draw whether something happens; a probability of 0 takes nothing from `rng`.

        So what is off, or new, doesn't change what else is drawn.
        """
        return probability > 0 and self.rng.random() < probability

    def uniform(self, limit: float) -> float:
        """Draw from -limit..limit; a limit of 0 takes nothing from `rng`."""
        return self.rng.uniform(-limit, limit) if limit > 0 else 0.0


Augmentation = Callable[[Sample, Draw], Sample]

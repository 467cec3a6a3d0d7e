"""How many steps a training needs, from the size of its training split."""

from __future__ import annotations

import math

# Small sets need steps, however few their pictures are: published results on 200 to 440 pictures
# (benchmarks/configs) took 3,000 to 6,000 steps of batch 8, which show this many pictures.
_FEWEST_PICTURES_SHOWN = 32_000
# Large sets need epochs. From 24 of them at 20,000 pictures the number falls with the cube root of
# the size: 55 at 1,600, 13 at the 118,000 of COCO, for which 12 to 36 are usual (He et al. 2019,
# Rethinking ImageNet Pre-training, section 3). The cube root joins this to the small sets: 344
# pictures get the 32,000 above.
_EPOCHS, _AT_PICTURES = 24.0, 20_000
_FEWEST_EPOCHS = 12.0
_ROUNDED_TO = 100  # steps, upwards


def budget_steps(images: int, batch_size: int) -> int:
    """Return the steps that suit a fine-tuning from a pretrained backbone.

    What is fixed is the number of pictures shown, not of steps: with a learning rate that grows
    with the square root of the batch, Adam takes the same way in as many epochs (Malladi et al.
    2022, On the SDEs and Scaling Rules for Adaptive Gradient Algorithms).

    Args:
        images: of the training split.
        batch_size: images in a step.
    """
    epochs = max(_EPOCHS * (_AT_PICTURES / max(images, 1)) ** (1 / 3), _FEWEST_EPOCHS)
    shown = max(epochs * images, _FEWEST_PICTURES_SHOWN)
    return _ROUNDED_TO * math.ceil(shown / batch_size / _ROUNDED_TO)

"""Pictures in the forms that Python programs hold them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from edge_retina.errors import DatasetError
from edge_retina.runtime.image import load_image

if TYPE_CHECKING:
    import PIL.Image

Picture: TypeAlias = "str | Path | np.ndarray | PIL.Image.Image"
_EXPECTED = "expected a path, a PIL image, or an array (H, W, 3) of uint8 in the order RGB"


def picture_rgb(image: Picture) -> np.ndarray:
    """Return a picture upright as (H, W, 3) uint8 RGB.

    Args:
        image: the path of a file; an array (H, W, 3) uint8 in the order red, green, blue (OpenCV
            reads blue first: convert with `image[..., ::-1]`); or a PIL image of any mode. The
            orientation in EXIF is applied to files and PIL images.

    Raises:
        DatasetError: none of these, or a file that can't be read.
    """
    if isinstance(image, (str, os.PathLike)):
        return load_image(Path(image))
    if isinstance(image, np.ndarray):
        return _checked(image)
    if _is_pil(image):
        from PIL import ImageOps

        return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    raise DatasetError(f"image: got {type(image).__name__}; {_EXPECTED}")


def _checked(array: np.ndarray) -> np.ndarray:
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 3 or not array.size:
        shape = ", ".join(map(str, array.shape))
        raise DatasetError(f"image: got an array ({shape}) of {array.dtype}; {_EXPECTED}")
    return np.ascontiguousarray(array)


def _is_pil(image: Any) -> bool:
    from PIL import Image

    return isinstance(image, Image.Image)

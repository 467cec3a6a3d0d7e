"""How well two labels of the same object agree: the mAP that no detector can be asked to pass.

    python benchmarks/label_noise.py DATA --name NAME

For pictures of a camera that doesn't move. Where two pictures show an object of one class at the
same place and their pixels are the same there, it stood still, and its two boxes were drawn by
hand, independently. Written to benchmarks/results/label_noise_NAME.{json,md}:

- the difference of the two labels, at each edge;
- the *mAP of one label against the other*: the share of pairs with IoU >= t, averaged over
  t = .50, .55 ... .95;
- the *mAP of a perfect detector*, which knows the mean of all labels of an object: its error is
  that of one label, the difference divided by the square root of 2.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import cv2
import numpy as np

from edge_retina.boxes.iou import pairwise_iou
from edge_retina.datasets import Example, load_dataset
from edge_retina.files import write_json, write_text
from edge_retina.report.markdown import markdown_table
from edge_retina.runtime.image import load_image

_RESULTS = Path(__file__).parent / "results"
_THRESHOLDS = np.arange(0.5, 0.951, 0.05)
_LEAST_IOU = 0.5
# Mean difference of the blurred grey values, in standard deviations of the patch. At 0.05 nothing
# has moved; at 0.3 neighbouring squares of a board look the same.
_STILL = (0.05, 0.1)


@click.command()
@click.argument("data", type=click.Path(path_type=Path))
@click.option("--name", required=True, help="Of the result.")
@click.option("--side", default=256, help="Edges are given in pixels of an input of this size.")
def main(data: Path, name: str, side: int) -> None:
    """Compare the labels of objects that stand still."""
    dataset = load_dataset(data)
    examples = [e for split in dataset.splits.values() for e in split if len(e.boxes_px)]
    pairs = _pairs(examples, side=side)
    found = {f"{limit:g}": _figures(pairs, limit) for limit in _STILL}
    write_json(_RESULTS / f"label_noise_{name}.json", {"schema_version": 1, "still": found})
    rows = [
        [
            limit,
            str(figures["pairs"]),
            " ".join(f"{value:.2f}" for value in figures["edge_px"]),
            f"{figures['mean_iou']:.3f}",
            f"{figures['label_mAP']:.3f}",
            f"{figures['perfect_mAP']:.3f}",
        ]
        for limit, figures in found.items()
    ]
    header = [
        "pixels differ by up to",
        "pairs",
        f"edges differ by (top left bottom right, std in px at {side})",
        "mean IoU",
        "mAP, label against label",
        "mAP of a perfect detector",
    ]
    text = f"# Label noise of {name}\n\n{markdown_table(header, rows)}\n"
    text += f"Written by `python benchmarks/label_noise.py DATA --name {name}`; see there.\n"
    write_text(_RESULTS / f"label_noise_{name}.md", text)
    click.echo(text)


def _pairs(examples: Sequence[Example], *, side: int) -> dict[str, np.ndarray]:
    """Return of all pairs of labels how much their pixels differ, and both boxes (N, 4)."""
    images = [_smooth_grey(load_image(example.path)) for example in examples]
    differ, first, second = [], [], []
    for i, one in enumerate(examples):
        for j in range(i + 1, len(examples)):
            other = examples[j]
            if other.image_hw != one.image_hw:
                continue
            iou = pairwise_iou(one.boxes_px, other.boxes_px)
            same = one.classes[:, None] == other.classes[None]
            for a, b in np.argwhere((iou >= _LEAST_IOU) & same):
                boxes = np.stack([one.boxes_px[a], other.boxes_px[b]])
                top, left = np.floor(boxes[:, :2].min(axis=0)).astype(int)
                bottom, right = np.ceil(boxes[:, 2:].max(axis=0)).astype(int)
                patch = images[i][top:bottom, left:right]
                change = np.abs(patch - images[j][top:bottom, left:right]).mean()
                differ.append(change / max(float(patch.std()), 1.0))
                scale = side / np.array([*one.image_hw, *one.image_hw])
                first.append(boxes[0] * scale)
                second.append(boxes[1] * scale)
    return {"differ": np.array(differ), "first": np.array(first), "second": np.array(second)}


def _smooth_grey(image_rgb: np.ndarray) -> np.ndarray:
    grey = cv2.cvtColor(image_rgb, cv2.COLOR_RGB2GRAY)
    return cv2.GaussianBlur(grey, (0, 0), 1).astype(np.float32)


def _figures(pairs: dict[str, np.ndarray], limit: float) -> dict[str, Any]:
    still = pairs["differ"] < limit
    first, second = pairs["first"][still], pairs["second"][still]
    iou = _iou_by_row(first, second)
    perfect = _iou_by_row(first, first + (second - first) / np.sqrt(2))
    return {
        "pairs": int(still.sum()),
        "edge_px": (first - second).std(axis=0).tolist(),
        "mean_iou": float(iou.mean()),
        "label_mAP": _mean_share(iou),
        "perfect_mAP": _mean_share(perfect),
    }


def _iou_by_row(boxes_a: np.ndarray, boxes_b: np.ndarray) -> np.ndarray:
    rows = zip(boxes_a, boxes_b, strict=True)
    return np.array([pairwise_iou(a[None], b[None]).item() for a, b in rows])


def _mean_share(iou: np.ndarray) -> float:
    return float((iou[:, None] >= _THRESHOLDS).mean())


if __name__ == "__main__":
    main()

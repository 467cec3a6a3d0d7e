"""The README's picture: detections of an exported int8 file on pictures of a test split.

python benchmarks/readme_picture.py runs/bccd/export ../shared/data/bccd --out docs/detections.jpg
"""

from __future__ import annotations

from pathlib import Path

import click
import cv2
import numpy as np

from edge_retina.datasets import load_dataset
from edge_retina.evaluation.drawing import draw_detections
from edge_retina.files import atomic_path
from edge_retina.runtime.image import load_image
from edge_retina.workflow.opening import open_predictor

_PICTURES, _HEIGHT, _GAP = 3, 300, 6


@click.command()
@click.argument("model", type=click.Path(exists=True, path_type=Path))
@click.argument("data", type=click.Path(exists=True, path_type=Path))
@click.option("--split", default="test", show_default=True)
@click.option("--out", type=click.Path(path_type=Path), required=True)
def main(model: Path, data: Path, split: str, out: Path) -> None:
    """Draw MODEL's detections on evenly chosen pictures of DATA."""
    predictor = open_predictor(model).predictor
    examples = load_dataset(data, skip_invalid=True).split(split)
    chosen = np.linspace(0, len(examples) - 1, _PICTURES + 2).astype(int)[1:-1]
    tiles = []
    for index in chosen:
        image = load_image(examples[index].path)
        drawn = draw_detections(image, predictor.predict(image), predictor.labels)
        width = round(_HEIGHT * image.shape[1] / image.shape[0])
        tile = cv2.resize(drawn, (width, _HEIGHT), interpolation=cv2.INTER_AREA)
        tiles.append(cv2.copyMakeBorder(tile, 0, 0, 0, _GAP, cv2.BORDER_CONSTANT, value=(255,) * 3))
    out.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(out) as temporary:
        cv2.imwrite(str(temporary), np.hstack(tiles)[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 88])
    click.echo(out)


if __name__ == "__main__":
    main()

"""Detectors with random weights as .tflite files, for `benchmarks/file_speed.py`.

    python benchmarks/speed_files.py --out DIR

The same weights each time, so that two versions of this package can be compared: run it in a
checkout of each. 320 px, MobileNetV2 of width 1.0, pyramid of 64 channels, 3 and 80 classes, float
and int8. How long decoding and NMS take depends on how many scores are above the threshold, so the
bias of the class head is set such that of the picture that the files are timed on 1,000 are.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import numpy as np

from edge_retina.boxes.anchors import AnchorGrid, default_shapes
from edge_retina.config import ExportConfig, ModelConfig

_CLASSES = (3, 80)
_CANDIDATES = 1000  # scores above the threshold; trained detectors have some hundreds to 2,000
_SIZE, _WIDTH = 320, 1.0


@click.command()
@click.option("--out", required=True, type=click.Path(path_type=Path))
@click.option("--per-cell", default=1, show_default=True, help="Anchors per cell: 1 or 9.")
@click.option("--size", default=_SIZE, show_default=True)
@click.option("--width", default=_WIDTH, show_default=True)
@click.option("--classes", multiple=True, default=_CLASSES, show_default=True)
def main(out: Path, per_cell: int, size: int, width: float, classes: tuple[int, ...]) -> None:
    """Write CLASSES_float32.tflite and CLASSES_int8.tflite for each number of classes."""
    out.mkdir(parents=True, exist_ok=True)
    for num_classes in classes:
        for precision, content in _files(num_classes, per_cell, size, width).items():
            path = out / f"{num_classes}_{precision}.tflite"
            path.write_bytes(content)
            click.echo(f"{path}: {len(content) / 1e6:.2f} MB")


def _files(num_classes: int, per_cell: int, size: int, width: float) -> dict[str, bytes]:
    from edge_retina.export.convert import convert
    from edge_retina.export.detection_graph import detection_function
    from edge_retina.model.deploy import build_deploy_graph
    from edge_retina.quantization.ranges import measure_ranges
    from edge_retina.quantization.wrapping import build_quantized_model

    shapes = tuple(
        level if per_cell == len(level) else ((4.0 * 2**number,) * 2,)
        for number, level in zip(range(3, 8), default_shapes(tuple(range(3, 8))), strict=True)
    )
    grid = AnchorGrid((size, size), 3, shapes)
    export = ExportConfig()
    pictures = _pictures(size)
    model = _trained(num_classes, grid, width, pictures, export.score_threshold)
    deploy = build_deploy_graph(model)
    quantized = build_quantized_model(deploy)
    ranges = measure_ranges(deploy, [pictures], score_threshold=export.score_threshold)
    quantized.set_activation_ranges(ranges)
    return {
        precision: convert(
            detection_function(network, anchors=grid, export=export), int8=precision == "int8"
        )
        for precision, network in (("float32", deploy), ("int8", quantized.model))
    }


def _pictures(size: int) -> np.ndarray:
    """Return (8, size, size, 3) normalised pictures; the first is what files are timed on."""
    from edge_retina.benchmark.profile import noise_picture
    from edge_retina.runtime.image import normalize

    return normalize(np.stack([noise_picture((size, size), seed=seed) for seed in range(8)]))


def _trained(
    num_classes: int, grid: AnchorGrid, width: float, pictures: np.ndarray, threshold: float
) -> Any:
    """Return a float RetinaNet whose statistics and scores look as if it were trained."""
    from edge_retina.model.keras import keras
    from edge_retina.model.retinanet import build_retinanet

    keras.utils.set_random_seed(0)
    settings = ModelConfig(backbone_width=width, image_hw=grid.image_hw)
    model = build_retinanet(settings, num_classes=num_classes, anchors=grid)
    rng = np.random.default_rng(0)
    norms = [x for x in model.layers if isinstance(x, keras.layers.BatchNormalization)]
    for norm in norms:
        norm.gamma.assign(rng.uniform(0.5, 1.0, norm.gamma.shape))
        norm.beta.assign(rng.uniform(1.0, 2.0, norm.beta.shape))
        norm.momentum = 0.0
    model(pictures, training=True)
    for name in ("cls_out_pw", "box_out_pw"):
        kernel, bias = model.get_layer(name).get_weights()
        model.get_layer(name).set_weights([kernel * 100, bias + rng.normal(0, 0.1, bias.shape)])
    logits = model(pictures[:1], training=False)[0].numpy().ravel()
    least = np.sort(logits)[-min(_CANDIDATES, logits.size // 2)]
    kernel, bias = model.get_layer("cls_out_pw").get_weights()
    shift = np.log(threshold / (1 - threshold)) - least
    model.get_layer("cls_out_pw").set_weights([kernel, bias + shift])
    return model


if __name__ == "__main__":
    main()

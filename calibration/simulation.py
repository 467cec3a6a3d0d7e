"""How like the `.tflite` file the simulation is, on real pictures of the test split.

    python -m calibration.simulation runs/bccd --method qat

writes calibration/results/NAME_simulation.json. Three questions, for XNNPACK's kernels and for
TFLite's own:

- op by op, given the same input: is what a layer gives equal?
- end to end: how many raw head outputs are within one step?
- and how many would be if one pixel of the picture were one grey level brighter? A network that
  makes much of that makes much of any rounding. The mAP of the simulation on such pictures says how
  much of a difference in mAP is nothing but that.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
import numpy as np

from edge_retina.benchmark.environment import read_environment
from edge_retina.evaluation.evaluator import evaluate
from edge_retina.export.convert import convert
from edge_retina.export.detection_graph import detection_function
from edge_retina.files import write_json
from edge_retina.int8.layer_error import LayerError
from edge_retina.layer_names import is_head_output, output_of_reshape
from edge_retina.model.keras_internals import call_of
from edge_retina.model.predictor import KerasPredictor
from edge_retina.quantization.microscope import compare_layers
from edge_retina.quantization.quantize import quantized_predictor
from edge_retina.quantization.quantized_model import QuantizedModel
from edge_retina.quantization.state import float_twin, load_quantized
from edge_retina.run_directory import RunDirectory
from edge_retina.runtime.detections import Detections, Predictor
from edge_retina.runtime.detector import TFLiteDetector
from edge_retina.runtime.image import load_image, normalize, stretch
from edge_retina.workflow.prepare import open_run

_PERTURBATIONS = 3
RESULTS = Path(__file__).parent / "results"


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--method", type=click.Choice(["ptq", "qat"]), default="qat", show_default=True)
@click.option("--pictures", default=8, show_default=True)
@click.option("--out", type=click.Path(path_type=Path), default=RESULTS)
def main(run: Path, method: str, pictures: int, out: Path) -> None:
    """Compare simulation and file of RUN."""
    directory = RunDirectory(run)
    context = open_run(directory, overrides=())
    config, data = context.config, context.data
    size = config.model.image_hw
    images = [stretch(load_image(example.path), size) for example in data.test[:pictures]]
    quantized, record = load_quantized(directory, method, engine=config.quantize.engine)
    function = detection_function(quantized.model, anchors=context.grid, export=config.export)
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as temporary:
        file = Path(temporary) / "int8.tflite"
        file.write_bytes(convert(function, int8=True))
        (file.parent / "labels.txt").write_bytes(directory.labels_file.read_bytes())
        labels = directory.load_labels()
        simulation = quantized_predictor(
            quantized, grid=context.grid, labels=labels, export=config.export
        )
        predictors: dict[str, Predictor] = {
            "simulation": simulation,
            "file, XNNPACK": TFLiteDetector(file),
            "file, built-in kernels": TFLiteDetector(file, use_xnnpack=False),
        }
        for seed in range(_PERTURBATIONS):
            name = f"simulation, one pixel one level brighter, seed {seed}"
            predictors[name] = _Perturbed(simulation, seed)
        found["mAP"] = {
            name: evaluate(predictor, data.test, labels=labels)[0].mAP
            for name, predictor in predictors.items()
        }
        for name, use_xnnpack in (("xnnpack", True), ("builtin", False)):
            seen = compare_layers(
                float_twin(directory, quantized, record),
                quantized,
                images,
                score_threshold=config.export.score_threshold,
                file=file,
                use_xnnpack=use_xnnpack,
            )
            found[name] = _summary(seen.layers)
            found[name]["unmatched"] = [*seen.unmatched_layers, *seen.unmatched_tensors]
    found["one pixel one level brighter"] = _perturbed(quantized, images)
    report = {
        "command": f"python -m calibration.simulation runs/{config.name} --method {method}",
        "environment": asdict(read_environment()),
        "pictures": len(images),
        **found,
    }
    target = out / f"{config.name}_simulation.json"
    write_json(target, report)
    click.echo(target.read_text())


def _summary(layers: Sequence[LayerError]) -> dict[str, Any]:
    worst = min(layers, key=lambda layer: layer.op_equal or 0.0)
    heads = [layer for layer in layers if is_head_output(layer.name)]
    return {
        "equal_given_the_same_input": {
            "mean": float(np.mean([layer.op_equal for layer in layers])),
            "worst": worst.op_equal,
            "worst_layer": worst.name,
        },
        "within_one_step": {layer.name: layer.within_step for layer in heads},
        "within_one_step_along_the_network": {
            layer.name: layer.within_step for layer in layers[:: max(len(layers) // 12, 1)]
        },
    }


def _perturbed(quantized: QuantizedModel, images: Sequence[np.ndarray]) -> dict[str, float]:
    """Return by head output the share of values within one step of the unchanged picture's."""
    ranges = quantized.activation_ranges()
    steps = [(high - low) / 255 for low, high in (ranges[name] for name in _heads(quantized))]
    shares = []
    for number, image in enumerate(images):
        before, after = (
            quantized.model(normalize(x[None]), training=False)
            for x in (image, _one_pixel_brighter(image, number))
        )
        shares.append(
            [
                float(np.mean(np.abs(a.numpy() - b.numpy()) <= 1.001 * step))
                for a, b, step in zip(before, after, steps, strict=True)
            ]
        )
    return dict(zip(_heads(quantized), np.mean(shares, axis=0).tolist(), strict=True))


class _Perturbed:
    """A predictor that sees one pixel of the network's input one grey level brighter."""

    def __init__(self, predictor: KerasPredictor, seed: int) -> None:
        self.labels, self.input_hw = predictor.labels, predictor.input_hw
        self._predictor, self._seed = predictor, seed

    def predict(self, image_rgb: np.ndarray) -> Detections:
        """Find objects in an (H, W, 3) uint8 RGB picture."""
        small = stretch(image_rgb, self.input_hw)
        return self._predictor.predict(_one_pixel_brighter(small, self._seed))


def _one_pixel_brighter(image: np.ndarray, seed: int) -> np.ndarray:
    row, column = np.random.default_rng(seed).integers(0, image.shape[:2])
    changed = image.astype(np.int16)
    changed[row, column] += np.where(changed[row, column] < 255, 1, -1)
    return changed.astype(np.uint8)


def _heads(quantized: QuantizedModel) -> list[str]:
    """Return the layers of the model's outputs, in their order."""
    return [output_of_reshape(call_of(output).layer.name) for output in quantized.model.outputs]


if __name__ == "__main__":
    main()

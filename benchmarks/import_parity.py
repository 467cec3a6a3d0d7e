"""Do imported detectors answer as the Model Garden's own networks?

    python -m venv GARDEN
    GARDEN/bin/pip install "setuptools<81" tf-models-official==2.20.0 click
    GARDEN/bin/python benchmarks/import_parity.py make --work DIR
    python benchmarks/import_parity.py compare --work DIR

`make` runs where the Model Garden is installed, which needs other versions than this package. It
builds networks with random weights, and writes a checkpoint, some images and the raw outputs of
each. `compare` imports the checkpoints, and writes benchmarks/results/import_parity.json and .md.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import numpy as np

_RESULTS = Path(__file__).parent / "results" / "import_parity.json"
_ASKED = 1e-3  # largest difference of raw outputs
# Of MobileNetV2: width, input size; of pyramid and heads: channels, convolutions; classes.
_NETWORKS = {
    "width035_256": (0.35, 256, 64, 3, 3),
    "width050_320": (0.5, 320, 48, 2, 20),
    "width075_384": (0.75, 384, 64, 4, 5),
    "width100_256": (1.0, 256, 128, 4, 80),
}


@click.group()
def main() -> None:
    """Write networks of the Model Garden, or compare them with what is imported."""


@main.command()
@click.option("--work", type=click.Path(path_type=Path), required=True)
def make(work: Path) -> None:
    """Build networks with the Model Garden, and write what they are and answer."""
    for name, sizes in _NETWORKS.items():
        _make(work / name, *sizes)
        click.echo(name)


def _make(
    out: Path, width: float, size: int, filters: int, convolutions: int, classes: int
) -> None:
    import tensorflow as tf
    import tf_keras
    from official.modeling import hyperparams
    from official.vision.configs import backbones, common, decoders, retinanet
    from official.vision.modeling import factory

    tf_keras.utils.set_random_seed(0)
    config = retinanet.RetinaNet(
        num_classes=classes + 1,  # with the background
        input_size=[size, size, 3],
        backbone=backbones.Backbone(
            type="mobilenet",
            mobilenet=backbones.MobileNet(model_id="MobileNetV2", filter_size_scale=width),
        ),
        decoder=decoders.Decoder(
            type="fpn", fpn=decoders.FPN(num_filters=filters, use_separable_conv=True)
        ),
        head=retinanet.RetinaNetHead(
            num_convs=convolutions, num_filters=filters, use_separable_conv=True
        ),
        norm_activation=common.NormActivation(activation="relu6", norm_momentum=0.0),
    )
    shape = tf_keras.layers.InputSpec(shape=[None, size, size, 3])
    model = factory.build_retinanet(input_specs=shape, model_config=config)
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (4, size, size, 3))
    # What official.vision.ops.preprocess_ops.normalize_image makes of them.
    images = (pixels / 255 - (0.485, 0.456, 0.406)) / (0.229, 0.224, 0.225)
    images = images.astype(np.float32)

    def raw(training: bool) -> tuple[Any, Any]:
        features = model.decoder(model.backbone(images, training=training), training=training)
        with tf_keras.backend.learning_phase_scope(int(training)):
            return model.head(features)[:2]

    raw(False)
    for variable in model.trainable_variables:
        if "gamma" in variable.name:
            variable.assign(rng.uniform(0.5, 1.0, variable.shape))
        elif "beta" in variable.name or "bias" in variable.name:
            variable.assign(rng.uniform(0.0, 1.0, variable.shape))
        elif "scores/" in variable.name or "boxes/" in variable.name:
            variable.assign(10 * variable)  # else outputs hardly depend on the image
    for _ in range(2):
        raw(True)  # measures the statistics of BatchNorm
    scores, boxes = raw(False)
    out.mkdir(parents=True, exist_ok=True)
    tf.train.Checkpoint(model=model).write(str(out / "ckpt-1"))
    hyperparams.save_params_dict_to_yaml(
        hyperparams.Config({"task": {"model": config.as_dict()}}), str(out / "params.yaml")
    )
    np.savez(
        out / "outputs.npz",
        pixels=pixels.astype(np.uint8),
        images=images,
        scores=_rows(scores, classes + 1)[..., 1:],
        boxes=_rows(boxes, 4),
    )


def _rows(by_level: dict[str, Any], size: int) -> np.ndarray:
    """Return the outputs of all levels as one row for each anchor."""
    levels = (by_level[name].numpy() for name in sorted(by_level, key=int))
    return np.concatenate([x.reshape(len(x), -1, size) for x in levels], axis=1)


@main.command()
@click.option("--work", type=click.Path(path_type=Path), required=True)
def compare(work: Path) -> None:
    """Import the checkpoints, and compare raw outputs."""
    from edge_retina.files import write_json, write_text
    from edge_retina.report.markdown import markdown_table

    results = {name: _compare(work / name, sizes[4]) for name, sizes in _NETWORKS.items()}
    write_json(_RESULTS, {"schema_version": 1, "asked": _ASKED, "networks": results})
    header = ["network", "width", "px", "channels", "convolutions", "classes"]
    keys = ("scores", "boxes", "scores_folded", "scores_mean_folded", "spread_of_scores")
    rows = [
        [name, *map(str, _NETWORKS[name]), *(f"{found[key]:.1e}" for key in keys)]
        for name, found in results.items()
    ]
    lines = [
        "# Imported networks against the Model Garden's own\n",
        "Random weights, four random images. Largest difference of raw outputs: class logits, and "
        f"box codes after un-scaling. Asked: {_ASKED}. *Folded* is the RUN as it is imported: its "
        "first convolution has taken the normalisation of the input, which is exact but for the "
        "padding at the right and lower edge; the last columns are its largest and its mean "
        "difference, and how much scores differ between images.\n",
        markdown_table([*header, "scores", "boxes", "folded", "mean", "spread"], rows),
        "Written by `python benchmarks/import_parity.py compare`.\n",
    ]
    write_text(_RESULTS.with_suffix(".md"), "\n".join(lines))
    click.echo("\n".join(lines))


def _compare(directory: Path, classes: int) -> dict[str, float]:
    from edge_retina.imports.checkpoint import Checkpoint
    from edge_retina.imports.table import FAMILIES
    from edge_retina.model.predictor import load_float_model
    from edge_retina.run_directory import RunDirectory

    labels, run = directory / "labels.txt", directory / "run"
    labels.write_text("".join(f"class {number}\n" for number in range(classes)), encoding="utf-8")
    command = [sys.executable, "-m", "edge_retina.cli.main", "import", directory / "ckpt-1"]
    subprocess.run([*map(str, (*command, "--out", run, "--labels", labels, "--force"))], check=True)
    data = np.load(directory / "outputs.npz")
    model = load_float_model(RunDirectory(run))
    folded = _differences(model((data["pixels"].astype(np.float32) - 128) / 127.5), data)
    original = FAMILIES["model_garden"].read(Checkpoint(directory / "ckpt-1")).weights
    for name in ("Conv1", "bn_Conv1"):  # which took the normalisation of the input
        model.get_layer(name).set_weights(list(original[name].values()))
    plain = _differences(model(data["images"]), data)
    return {
        **plain,
        **{f"{name}_folded": value for name, value in folded.items()},
        "spread_of_scores": float(data["scores"].std(axis=0).mean()),
        "spread_of_boxes": float(data["boxes"].std(axis=0).mean()),
    }


def _differences(found: tuple[Any, Any], data: Any) -> dict[str, float]:
    """Return the differences of class logits, and of box codes after un-scaling."""
    from edge_retina.boxes.codec import CODE_SCALES

    logits, codes = (array.numpy() for array in found)
    scores = np.abs(logits - data["scores"])
    boxes = np.abs(codes / np.array(CODE_SCALES) - data["boxes"])
    return {
        **{"scores": float(scores.max()), "boxes": float(boxes.max())},
        **{"scores_mean": float(scores.mean()), "boxes_mean": float(boxes.mean())},
    }


if __name__ == "__main__":
    main()

"""Imported detectors answer as their originals do; what can't be imported is refused."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from edge_retina.boxes.anchors import AnchorGrid
from edge_retina.cli.main import main
from edge_retina.coco_names import COCO_CLASSES
from edge_retina.datasets.generated import SHAPES, generate_dataset
from edge_retina.errors import TrainingError
from edge_retina.run_directory import RunDirectory

pytestmark = [pytest.mark.tf, pytest.mark.slow]

SMALL = {"alpha": 0.35, "classes": 3, "depth": 16, "convolutions": 2, "size": 128}


# What a training of the Model Garden writes, as far as it matters here.
PARAMS = """
task:
  model:
    anchor: {anchor_size: 3.0, aspect_ratios: [0.5, 1.0, 2.0], num_scales: 3}
    decoder: {fpn: {use_separable_conv: true}}
    head: {use_separable_conv: true}
    input_size: [128, 128, 3]
    norm_activation: {activation: relu6}
"""


def run_import(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["import", *map(str, arguments)])


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    from tests.imports.od_network import OdNetwork

    directory = tmp_path_factory.mktemp("small")
    network = OdNetwork(**SMALL)
    (directory / "labels.txt").write_text("red\ngreen\nblue\n")
    return network, network.save(directory / "ckpt-0")


def outputs_of(run: RunDirectory, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    from edge_retina.model.predictor import load_float_model

    logits, codes = load_float_model(run)(images)
    return logits.numpy(), codes.numpy()


@pytest.mark.parametrize(
    "settings, wiring",
    [
        (SMALL, "od_fpnlite"),
        (SMALL | {"top": 1280, "alpha": 0.5}, "od_fpnlite_wide"),
        ({"size": 320, "classes": 90, "depth": 128, "convolutions": 4}, "od_fpnlite"),
    ],
    ids=["small", "wide top", "as published"],
)
def test_raw_outputs_are_those_of_the_original(
    tmp_path: Path, settings: dict[str, Any], wiring: str
) -> None:
    from tests.imports.od_network import OdNetwork

    network = OdNetwork(**settings)
    prefix = network.save(tmp_path / "checkpoint" / "ckpt-0")
    size, is_coco = settings["size"], settings["classes"] == 90
    (tmp_path / "pipeline.config").write_text(
        "model { ssd { image_resizer {\n fixed_shape_resizer {\n"
        f"  height: {size}\n  width: {size}\n }} }} }} }}"
    )
    (tmp_path / "labels.txt").write_text("red\ngreen\nblue\n")
    labels = () if is_coco else ("--labels", tmp_path / "labels.txt")
    result = run_import(prefix, "--out", tmp_path / "run", *labels, "--json", tmp_path / "r.json")
    assert result.exit_code == 0, result.output
    run = RunDirectory(tmp_path / "run")
    config = run.load_config()
    assert config.model.image_hw == (size, size)
    assert config.model.wiring == wiring
    assert json.loads((tmp_path / "r.json").read_text())["family"] == "od_fpnlite"
    images = np.random.default_rng(1).uniform(-1, 1, (2, size, size, 3)).astype(np.float32)
    logits, codes = outputs_of(run, images)
    expected_logits, expected_codes = (array.numpy() for array in network(images))
    kept = list(COCO_CLASSES) if is_coco else [1, 2, 3]  # 0 is the background
    assert logits.shape[2] == len(kept) == len(run.load_labels())
    assert expected_logits.std(axis=0).mean() > 0.01  # else the images would not matter
    np.testing.assert_allclose(logits, expected_logits[..., kept], atol=1e-3)
    np.testing.assert_allclose(codes, expected_codes, atol=1e-3)


@pytest.fixture(scope="module")
def garden(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    from tests.imports.mg_network import MgNetwork

    network = MgNetwork()
    return network, network.save(tmp_path_factory.mktemp("garden") / "ckpt-100")


def test_raw_outputs_are_those_of_the_model_garden(
    tmp_path: Path, garden: tuple[Any, Path]
) -> None:
    from edge_retina.model.keras import keras
    from edge_retina.model.predictor import load_float_model

    network, prefix = garden
    (prefix.parent / "params.yaml").write_text(PARAMS)
    (tmp_path / "labels.txt").write_text("red\ngreen\nblue\n")
    result = run_import(prefix, "--out", tmp_path / "run", "--labels", tmp_path / "labels.txt")
    assert result.exit_code == 0, result.output
    run = RunDirectory(tmp_path / "run")
    config = run.load_config()
    assert (config.model.image_hw, config.model.wiring) == ((128, 128), "model_garden")
    images = np.random.default_rng(1).uniform(-1, 1, (2, 128, 128, 3)).astype(np.float32)
    expected_logits, expected_codes = (array.numpy() for array in network(images))
    assert expected_logits.std(axis=0).mean() > 0.01
    model = load_float_model(run)
    # Its first layer takes values of -1..1; of the network it takes what the Model Garden makes of
    # the same picture.
    pixels = np.random.default_rng(2).integers(0, 256, (2, 128, 128, 3))
    theirs = (pixels / 255 - (0.485, 0.456, 0.406)) / (0.229, 0.224, 0.225)
    first = keras.Model(model.input, model.get_layer("Conv1_relu").output)
    found = first(((pixels - 128) / 127.5).astype(np.float32)).numpy()
    block = network._backbone.layers[1]
    expected = block(theirs.astype(np.float32)).numpy()
    np.testing.assert_allclose(found[:, :-1, :-1], expected[:, :-1, :-1], atol=1e-4)
    # With that undone, all outputs are equal.
    model.get_layer("Conv1").set_weights(block._conv0.get_weights())
    model.get_layer("bn_Conv1").set_weights(block._norm0.get_weights())
    logits, codes = (array.numpy() for array in model(images))
    np.testing.assert_allclose(logits, expected_logits[..., 1:], atol=1e-3)
    np.testing.assert_allclose(codes / (10, 10, 5, 5), expected_codes, atol=1e-3)
    # Three sizes in an octave from 3 strides on, each with width / height .5, 1 and 2.
    grid, root = run.load_anchors(), math.sqrt(2)
    assert grid.offsets == ()
    expected = [
        (24 * root, 24 / root),
        (24, 24),
        (24 / root, 24 * root),
        (24 * root * 2 ** (1 / 3),),
    ]
    np.testing.assert_allclose(grid.shapes[0][:3], expected[:3], rtol=1e-6)
    np.testing.assert_allclose(grid.shapes[0][3][:1], expected[3], rtol=1e-6)


@pytest.mark.parametrize(
    "text, message",
    [
        ("relu6 -> swish", "activation swish, use_separable_conv [True, True]; only relu6"),
        ("num_scales: 3 -> num_scales: 2", "36 box outputs in a cell, but 6 anchors"),
        ("task: -> tasks:", "is not of a RetinaNet of the Model Garden"),
    ],
)
def test_params_that_can_not_be(
    tmp_path: Path, garden: tuple[Any, Path], text: str, message: str
) -> None:
    _, prefix = garden
    (prefix.parent / "params.yaml").write_text(PARAMS.replace(*text.split(" -> ")))
    result = run_import(prefix, "--out", tmp_path / "run")
    assert result.exit_code == 1
    assert message in result.stderr.splitlines()[-1]


def test_anchors_are_those_of_the_published_configs(
    tmp_path: Path, small: tuple[Any, Path]
) -> None:
    _, prefix = small
    labels = prefix.parent / "labels.txt"
    sizes = {}
    for size in (128, 160):
        out = tmp_path / str(size)
        result = run_import(prefix, "--out", out, "--labels", labels, "--image-size", size)
        assert result.exit_code == 0, result.output
        sizes[size] = RunDirectory(out).load_anchors()
    grid = sizes[128]
    assert grid.per_cell == 6
    root = math.sqrt(2)
    # Width / height 1, 2 and .5, each in two sizes; the side of the first is 4 strides of 8 px.
    expected = [
        (32, 32),
        (32 * root, 32 * root),
        (32 / root, 32 * root),
        (32, 64),
        (32 * root, 32 / root),
        (64, 32),
    ]
    np.testing.assert_allclose(grid.shapes[0], expected, rtol=1e-6)
    first = grid.boxes_px()[0]
    np.testing.assert_allclose(first, [4 - 16, 4 - 16, 4 + 16, 4 + 16])
    # 160 is 2.5 strides of 64 and 1.25 of 128: there the API puts centres into corners.
    odd = sizes[160]
    assert odd.offsets == (0.5, 0.5, 0.5, 0.0, 0.0)
    places = AnchorGrid((160, 160), 3, odd.shapes, odd.offsets).centres_px(6)
    np.testing.assert_array_equal(places[:, 0, 0], [0, 64, 128])


def test_an_imported_detector_goes_the_whole_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Evaluated, quantised, exported; and the start of a training that keeps its wiring."""
    from edge_retina.training.trainer import Trainer
    from tests.imports.od_network import OdNetwork

    data, run = tmp_path / "data", tmp_path / "run"
    generate_dataset(data, images={"train": 8, "val": 2, "test": 2}, image_hw=(96, 128))
    prefix = OdNetwork(**SMALL | {"classes": len(SHAPES)}).save(tmp_path / "ckpt-0")
    labels = tmp_path / "labels.txt"
    labels.write_text("\n".join(SHAPES))
    few = ("train.steps=2", "train.batch_size=2", "train.probe_images=0", "train.tensorboard=false")
    settings = []
    for text in (f"data.path={data}", *few):
        settings += ["--set", text]
    commands: list[tuple[object, ...]] = [
        ("import", prefix, "--out", run, "--labels", labels, "--image-size", 128),
        ("evaluate", run, data),
        ("quantize", run, "--method", "ptq", "--set", f"data.path={data}"),
        # int8 files are verified on what a network finds, which means little for a random one.
        ("export", run, "--out", tmp_path / "export", "--precision", "float32", *settings[:2]),
        ("evaluate", tmp_path / "export", data),
        ("train", run / "config.toml", "--init", run, "--out", tmp_path / "tuned", *settings),
    ]
    for command in commands:
        result = CliRunner().invoke(main, list(map(str, command)))
        assert result.exit_code == 0, f"{command[0]}: {result.output}"
    tuned = json.loads((tmp_path / "tuned" / "results" / "init.json").read_text())
    assert tuned["variables"]["taken"] == tuned["variables"]["all"]
    assert tuned["classes"]["new"] == []

    # What another wiring takes is known before the first step, which need not be traced.
    def stop(*_: object, **__: object) -> None:
        raise TrainingError("enough")

    monkeypatch.setattr(Trainer, "make_loop", stop)
    own = ("train", data, "--init", run, "--out", tmp_path / "own", "--set", "train.steps=2")
    result = CliRunner().invoke(main, list(map(str, (*own, "--set", "model.image_size=128"))))
    assert (result.exit_code, result.stderr.splitlines()[-1]) == (1, "Error: enough")
    left = json.loads((tmp_path / "own" / "results" / "init.json").read_text())
    assert "model.wiring is another one in it" in left["new_layers"]


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"anchors": 3}, "has 3 anchors per cell; expected 6"),
        ({"top": 64}, "has 112 channels in block 16 and 64 at the end; expected 112"),
    ],
)
def test_another_structure_is_refused(
    tmp_path: Path, settings: dict[str, Any], message: str
) -> None:
    from tests.imports.od_network import OdNetwork

    prefix = OdNetwork(**SMALL | settings).save(tmp_path / "ckpt-0")
    result = run_import(prefix, "--out", tmp_path / "run", "--image-size", 128)
    assert result.exit_code == 1
    assert message in result.stderr.splitlines()[-1]
    assert not (tmp_path / "run").exists()


def test_variables_that_are_left_over_are_refused(tmp_path: Path) -> None:
    """Such a network does more than what would be imported."""
    from edge_retina.model.keras import tf
    from tests.imports.mg_network import MgNetwork
    from tests.imports.od_network import OdNetwork

    for network in (OdNetwork(**SMALL), MgNetwork()):
        part = getattr(network, "_box_predictor", None) or network._head
        part.extra = tf.Variable([1.0])
        prefix = network.save(tmp_path / type(network).__name__ / "ckpt-0")
        result = run_import(prefix, "--out", tmp_path / "run", "--image-size", 128)
        assert result.exit_code == 1
        assert "1 variables have no place in this network" in result.stderr.splitlines()[-1]


def test_a_foreign_checkpoint_is_refused(tmp_path: Path) -> None:
    from edge_retina.model.keras import keras, tf

    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    prefix = tf.train.Checkpoint(model=model).write(str(tmp_path / "ckpt-0"))
    result = run_import(prefix, "--out", tmp_path / "run")
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1] == (
        f"Error: {prefix}: is of no network that can be imported; expected: TF2 Object Detection "
        "API, SSD MobileNetV2 FPNLite, TensorFlow Model Garden, RetinaNet on MobileNetV2"
    )


def test_what_is_missing_is_named(tmp_path: Path, small: tuple[Any, Path]) -> None:
    _, prefix = small
    out = ("--out", tmp_path / "run")
    assert "no such checkpoint" in run_import(tmp_path / "nothing", *out).stderr
    result = run_import(prefix, *out, "--image-size", 128)
    assert "has 3 classes, so it isn't of COCO; give their names with --labels" in result.stderr
    labels = tmp_path / "labels.txt"
    labels.write_text("one\ntwo\n")
    result = run_import(prefix, *out, "--image-size", 128, "--labels", labels)
    assert "has 2 names, 2 of them different; expected 3 different ones" in result.stderr
    result = run_import(prefix, *out, "--labels", prefix.parent / "labels.txt")
    assert "no file beside it tells the input size; give --image-size" in result.stderr
    wide = ("--image-size", "128x192", "--labels", prefix.parent / "labels.txt")
    assert "give a square" in run_import(prefix, *out, *wide).stderr
    assert not (tmp_path / "run").exists()


def test_a_damaged_checkpoint_is_refused(tmp_path: Path, small: tuple[Any, Path]) -> None:
    _, prefix = small
    index, data = (next(prefix.parent.glob(f"{prefix.name}.{end}")) for end in ("index", "data-*"))
    labels = ("--labels", prefix.parent / "labels.txt", "--image-size", 128)
    copy = tmp_path / "ckpt-0"
    copy.with_name("ckpt-0.index").write_bytes(index.read_bytes())
    result = run_import(copy, "--out", tmp_path / "run", *labels)
    assert "its data file (ckpt-0.data-00000-of-00001) is missing" in result.stderr
    copy.with_name(data.name).write_bytes(data.read_bytes()[: data.stat().st_size // 2])
    result = run_import(copy, "--out", tmp_path / "run", *labels)
    assert result.exit_code == 1
    assert "can't be read (Read less bytes than requested)" in result.stderr.splitlines()[-1]
    copy.with_name("ckpt-0.index").write_bytes(index.read_bytes()[:100])
    result = run_import(copy, "--out", tmp_path / "run", *labels)
    assert "can't be read" in result.stderr.splitlines()[-1]

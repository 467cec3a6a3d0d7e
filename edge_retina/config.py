"""The configuration of a run: frozen dataclasses <-> TOML.

Every field stands here once, with its default, its range and its explanation. A preset or a user's
file says only what differs. `load_config` resolves, in this order: defaults, the preset, the file,
`--set` overrides. An `augmentation.level` is a base under the single fields: one of the file or of
`--set` replaces the preset's augmentation and gives way to every field of the file or of `--set`.
Paths become absolute as they are read: those of a file against its directory,
those of `--set` against the working directory.
"""

from __future__ import annotations

import dataclasses
import math
import sys
import typing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edge_retina.backbones.table import BACKBONES
from edge_retina.choices import (
    ANCHOR_SOURCES,
    ASSIGNERS,
    BOX_LOSSES,
    CLASS_LOSSES,
    OPTIMIZERS,
)
from edge_retina.errors import ConfigError, choices_hint
from edge_retina.files import read_small_text
from edge_retina.schema import Reader, check_options, iterate_options, option, to_plain
from edge_retina.wirings.table import WIRINGS

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PRESETS = ("fast", "balanced", "accurate", "demo")
AUGMENTATION_LEVELS = ("none", "light", "moderate", "strong")
PRESET_DIR = Path(__file__).parent / "presets"
# Fields that a level leaves as they are, unless its section names them; the file explains.
_NO_MATTER_OF_LEVEL = ("level", "min_visible", "vertical_flip", "transpose")
_ANY = math.inf
_LONGEST_NAME = 200


@dataclass(frozen=True)
class DataConfig:
    """Where the images and labels are."""

    path: str = option("", "DATA; relative to the config file", path="directory")
    train_split: str = option("train", "the split to train on")
    val_split: str = option(
        "val",
        'tells whether earlier weights are better than the last; "" = none, the last are kept',
    )
    test_split: str = option("test", "measured once, at the end")
    skip_invalid: bool = option(
        False, "drop invalid boxes and images, with a warning, instead of stopping"
    )
    train_images: int = option(
        0,
        "if above 0: train on so many images of the training split only, drawn by `seed`: the same "
        "ones on every machine, and the first of those that a larger number draws",
        low=0,
    )
    repeat_threshold: float = option(
        0.0,
        "images with a class that a smaller share of all images has are drawn more often, by the "
        "square root of the ratio; an epoch gets longer. 0 = off",
        low=0,
        high=1,
    )
    cache_mb: int = option(
        2048, "decoded training images are kept in memory if all of them fit", low=0
    )


@dataclass(frozen=True)
class ModelConfig:
    """The network."""

    backbone: str = option("mobilenet_v2", "the feature extractor", choices=tuple(BACKBONES))
    backbone_width: float = option(0.35, "alpha of the backbone: scales its channels")
    pretrained: str = option(
        "imagenet",
        '"imagenet", "none", or an .h5 file relative to the config file',
        path="name-or-file",
    )
    image_hw: tuple[int, int] = option(
        (256, 256),
        "input height and width in pixels, or one number for a square; images are stretched to it",
        low=32,
        high=2048,
        multiple_of=32,
    )
    min_level: int = option(3, "finest feature level; level l has stride 2**l", low=3, high=5)
    max_level: int = option(7, "coarsest feature level", low=3, high=7)
    fpn_channels: int = option(64, "channels of the pyramid and the heads", low=8, high=512)
    head_depth: int = option(
        3, "separable convolutions in each head before the last one", low=0, high=8
    )
    wiring: str = option(
        "own",
        '"own": this package\'s network; "od_fpnlite": that of SSD MobileNetV2 FPNLite of the TF2 '
        "Object Detection API, for 'edge-retina import'; \"od_fpnlite_wide\": the same with 1,280 "
        'channels in the backbone\'s last convolution; "model_garden": RetinaNet of the '
        "TensorFlow Model Garden",
        choices=tuple(WIRINGS),
    )
    prior_probability: float = option(
        0.01, "of an object at a fresh anchor (focal loss, section 4.1)", low=1e-6, high=0.5
    )

    @property
    def levels(self) -> tuple[int, ...]:
        """Feature levels, finest first."""
        return tuple(range(self.min_level, self.max_level + 1))


@dataclass(frozen=True)
class AnchorConfig:
    """Anchor shapes: those of `shapes`; where it is empty, of `kind`."""

    kind: str = option(
        "",
        '"square": squares of `square_strides`; "fitted": by k-means on the training boxes; '
        '"retinanet": its nine default shapes; "" = "square", but "retinanet" if `fit` is false, '
        'and "fitted" if `per_cell` or `evolve` is not the default',
        choices=("", *ANCHOR_SOURCES),
    )
    fit: bool = option(True, 'the older form of `kind`: false = "retinanet"')
    per_cell: int = option(4, "shapes per cell, when fitted", low=1, high=16)
    evolve: int = option(
        0, "rounds of improvement after k-means; 2000 take some seconds", low=0, high=100_000
    )
    square_strides: float = option(
        4.0, "square: side in strides of its level; of the smallest, if several", low=0.5, high=32
    )
    square_scales: int = option(
        1, "square: sizes per cell, in equal steps over an octave", low=1, high=8
    )
    shapes: tuple[tuple[tuple[float, float], ...], ...] = option(
        (), "by level: (height, width) in pixels, for all that `kind` says; empty = as `kind` says"
    )

    @property
    def source(self) -> str:
        """The kind of anchors, a key of `choices.ANCHOR_SOURCES`; `shapes` go before it."""
        if self.kind:
            return self.kind
        if not self.fit:
            return "retinanet"
        usual = (AnchorConfig.per_cell, AnchorConfig.evolve)
        return "square" if (self.per_cell, self.evolve) == usual else "fitted"


@dataclass(frozen=True)
class MatchingConfig:
    """Which anchors are trained to find which objects."""

    assigner: str = option(
        "atss",
        '"atss": an IoU threshold for each object, from anchors near it; "max_iou": fixed ones; '
        '"dynamic_k": as many anchors of an object as are about as good as its best one',
        choices=tuple(ASSIGNERS),
    )
    positive_iou: float = option(
        0.5, "max_iou: an anchor with at least this IoU is positive", low=0.05, high=0.95
    )
    negative_iou: float = option(
        0.4, "max_iou: below is background; between the two is ignored", low=0.0, high=0.95
    )
    force_match: bool = option(
        True,
        "the best anchor of every object is positive, whatever its IoU; with atss and dynamic_k, "
        "of every object without another one",
    )
    min_positives: int = option(
        1,
        "max_iou with force_match: so many of an object's best anchors are positive, if their IoU "
        "is at least min_positive_iou",
        low=1,
        high=100,
    )
    min_positive_iou: float = option(
        0.25, "of the second and later anchors of min_positives", low=0, high=0.95
    )
    most_positives: int = option(
        13, "dynamic_k: the anchors of an object that are looked at, best first", low=1, high=100
    )


@dataclass(frozen=True)
class AugmentationConfig:
    """Random changes to training images. Ranges are around "unchanged"; 0 switches one off."""

    level: str = option(
        "",
        'sets the fields below: "none", "light", "moderate" or "strong"; fields that are given '
        'count more; "" = only those count',
    )
    mosaic: float = option(0.0, "probability of joining four training images in one", low=0, high=1)
    copy_paste: float = option(
        0.0, "probability of pasting objects of another training image", low=0, high=1
    )
    horizontal_flip: float = option(0.5, "probability", low=0, high=1)
    vertical_flip: float = option(
        0.0, "probability; for images without an up, such as microscopy", low=0, high=1
    )
    transpose: float = option(
        0.0, "probability of swapping x and y; for images without an up", low=0, high=1
    )
    rotation: float = option(
        0.0,
        "up to so many degrees either way; boxes are refitted as if objects were ellipses",
        low=0,
        high=180,
    )
    shear: float = option(
        0.0,
        "up to so many degrees along x and along y; boxes are refitted as for rotation",
        low=0,
        high=45,
    )
    scale: tuple[float, float] = option(
        (0.75, 1.33), "zoom factor, log-uniform; (1, 1) = off", low=0.1, high=10
    )
    aspect: float = option(0.1, "height/width changes by up to 1 + aspect", low=0, high=1)
    translate: float = option(0.1, "shift in image sides", low=0, high=0.5)
    crop: float = option(
        0.0,
        "probability of a random window, of 30 to 100% of the area, that keeps at least one object "
        "whole",
        low=0,
        high=1,
    )
    min_visible: float = option(
        0.3, "share of a box's area; objects with less left in the image are ignored", low=0, high=1
    )
    brightness: float = option(0.15, "shift in units of the full range", low=0, high=1)
    contrast: float = option(0.2, "relative change", low=0, high=0.9)
    saturation: float = option(0.3, "relative change", low=0, high=1)
    hue: float = option(0.03, "in turns of the colour circle", low=0, high=0.5)
    blur: float = option(
        0.0, "probability of a Gaussian blur of 0.4 to 1.6 pixels of the input", low=0, high=1
    )
    noise: float = option(
        0.0, "sensor noise: standard deviation up to so much of the full range", low=0, high=0.5
    )
    jpeg: float = option(
        0.0, "probability of JPEG compression with a quality of 30 to 90", low=0, high=1
    )


@dataclass(frozen=True)
class LossConfig:
    """What is minimised; both losses are divided by the number of positive anchors."""

    cls_loss: str = option(
        "focal",
        '"focal": objects are 1; "quality_focal": objects are the IoU of their boxes',
        choices=tuple(CLASS_LOSSES),
    )
    quality: float = option(
        1.0, "quality_focal: share q of the IoU in an object's target, 1 - q + q IoU", low=0, high=1
    )
    focal_alpha: float = option(0.25, "focal: weight of objects against background", low=0, high=1)
    focal_gamma: float = option(2.0, "how much easy anchors are played down", low=0, high=10)
    label_smoothing: float = option(
        0.0, "focal: class targets become 1 - s/2 and s/2", low=0, high=0.5
    )
    box_loss: str = option("giou", "loss of the boxes", choices=tuple(BOX_LOSSES))
    huber_delta: float = option(0.1, "where Huber's loss becomes linear", low=1e-6, high=10)
    box_weight: float = option(1.0, "weight of the box loss", low=0, high=1000)


@dataclass(frozen=True)
class TrainConfig:
    """The float training."""

    epochs: int = option(
        60,
        "passes over the training split; 0 = as many steps as suit the number of its images",
        low=0,
    )
    steps: int = option(0, "if above 0: this many steps, whatever `epochs` says", low=0)
    batch_size: int = option(8, "images per step", low=1, high=4096)
    optimizer: str = option("adamw", "update rule", choices=tuple(OPTIMIZERS))
    learning_rate: float = option(0.006, "peak, after the warm-up", low=1e-9, high=10)
    warmup_steps: int = option(50, "steps of rising learning rate", low=0)
    warmup_fraction: float = option(
        0.0,
        "if above 0: the warm-up takes this fraction of all steps, whatever `warmup_steps` says",
        low=0,
        high=0.5,
    )
    final_learning_rate: float = option(
        0.01, "fraction of the peak at the end of the cosine", low=0, high=1
    )
    backbone_learning_rate: float = option(
        0.5,
        "learning rate of a pretrained backbone's layers, as a multiple of that of the rest",
        low=0,
        high=10,
    )
    backbone_warmup: float = option(
        0.5,
        "the learning rate of a pretrained backbone rises over this fraction of the steps, while "
        "the new layers learn to use its features; 0 = it warms up with the rest",
        low=0,
        high=1,
    )
    frozen_stages: int = option(
        2,
        "so many stages of a pretrained backbone keep their weights: 1 = up to stride 2, 2 = up to "
        "stride 4 ... 5 = all of it; steps take less time. 0 = train everything",
        low=0,
        high=5,
    )
    momentum: float = option(0.9, "of sgd", low=0, high=0.9999)
    weight_decay: float = option(
        0.05,
        "decoupled from the gradient; never on biases and BatchNorm. The default was chosen for "
        "adamw and not tried with sgd",
        low=0,
        high=1,
    )
    clip_norm: float = option(10.0, "limit of the global gradient norm; 0 = off", low=0)
    ema_decay: float = option(0.998, "moving average of the weights; 0 = off", low=0, high=0.99999)
    ema_fraction: float = option(
        0.0,
        "if above 0: the moving average spans this fraction of all steps, whatever `ema_decay` "
        "says",
        low=0,
        high=1,
    )
    reestimate_batchnorm: int = option(
        0,
        "at the end the BatchNorm statistics of the averaged weights are measured anew on so many "
        "training batches; 0 = the average of those of the training is kept",
        low=0,
    )
    plain_steps: float = option(
        0.3,
        "fraction of the steps, at the end, with plain pictures: flips and transposition stay, all "
        "other augmentations are off",
        low=0,
        high=0.9,
    )
    freeze_backbone_batchnorm: bool = option(False, "keep the pretrained statistics")
    eval_every_epochs: int = option(5, "evaluate on the validation split every N epochs", low=1)
    probe_images: int = option(
        64,
        "images of each split whose losses are logged at every evaluation; 0 = none",
        low=0,
        high=10_000,
    )
    rate_range_steps: int = option(
        0,
        "before the training, so many steps at learning rates from a hundredth to a hundred times "
        "learning_rate; their losses show where it should be, and the weights are put back; "
        "0 = none",
        low=0,
        high=10_000,
    )
    checkpoint_minutes: float = option(
        5.0, "save a checkpoint so often; 0 = only at evaluations", low=0, high=1440
    )
    precision: str = option(
        "float32",
        "of the network's activations in training; weights, losses and the averaged network stay "
        "float32. bfloat16 needs half the memory and is fast on GPUs since 2020 and on CPUs with "
        "AMX; elsewhere it is slower",
        choices=("float32", "bfloat16"),
    )
    distribution: str = option(
        "auto",
        '"auto": on the machines that TF_CONFIG names and all their GPUs, else on one device; '
        '"mirrored": on all GPUs of this machine; "off": on one device. batch_size is that of all '
        "devices together, so the training is the same",
        choices=("auto", "mirrored", "off"),
    )
    deterministic: bool = option(
        False,
        "use only deterministic operations of TensorFlow; slower, and needed on a GPU to repeat a "
        "training bit for bit; on a CPU trainings repeat anyway",
    )
    tensorboard: bool = option(True, "write TensorBoard event files too")
    metric_sinks: str = option(
        "",
        "where the figures go besides: names, by commas, of sinks that installed packages offer "
        'as entry points (docs/training_log.md); "" = nowhere',
    )
    init: str = option(
        "",
        "a trained detector to start from, instead of model.pretrained: a RUN, or a weights file "
        "such as its float/best.h5. Taken is all that fits by name and shape; classes are matched "
        'by name, new ones start fresh. "" = none',
        path="either",
    )
    teacher: str = option(
        "",
        "RUN of a larger detector of the same classes, to learn from beside the labels; it sees "
        'each training image at its own input size; "" = none',
        path="directory",
    )
    teacher_weight: float = option(
        1.0,
        "weight of the distance to the teacher's outputs; at 1 it counts about as much as the "
        "labels",
        low=1e-6,
        high=1000,
    )


@dataclass(frozen=True)
class QuantizeConfig:
    """int8."""

    method: str = option("qat", "quantization-aware or post-training", choices=("qat", "ptq"))
    engine: str = option(
        "tfmot",
        'who fake-quantises: "tfmot" = tensorflow-model-optimization, "own" = layers of this '
        "package, for where that can't be installed; the files are the same",
        choices=("tfmot", "own"),
    )
    recipe: str = option(
        "",
        'what is quantised how: a shipped recipe or a TOML file; "" = everything to int8',
        path="name-or-file",
    )
    calibration_images: int = option(128, "images that set the activation ranges", low=1)
    calibration_selection: str = option(
        "stratified", "how they are chosen", choices=("stratified", "random", "first")
    )
    calibration_set: str = option(
        "", "JSON file of `quantize --pin`: these images and no others", path="file"
    )
    ranges: str = option(
        "minmax", "how activation ranges are chosen", choices=("minmax", "percentile", "mse")
    )
    percentile: float = option(
        99.99, "share of a tensor's values inside its range, for percentile", low=50, high=100
    )
    relu: str = option("relu6", '"relu" replaces ReLU6 by ReLU', choices=("relu6", "relu"))
    equalize: bool = option(False, "equalise the channels of neighbouring layers first")
    correct_bias: bool = option(True, "subtract the mean error of rounded weights from the biases")
    epochs: int = option(8, "of QAT", low=1)
    steps: int = option(0, "if above 0: this many steps, whatever `epochs` says", low=0)
    learning_rate: float = option(0.0002, "peak", low=0, high=10)
    warmup_steps: int = option(20, "steps of rising learning rate", low=0)
    freeze_ranges_at: float = option(
        0.0,
        "fraction of the QAT steps in which activation ranges follow the batches; "
        "0 = they stay as calibrated. Those of class logits always do",
        low=0,
        high=1,
    )
    distillation: float = option(
        1.0, "weight of the distance to the float model's outputs; 0 = off", low=0, high=1000
    )
    evaluations: int = option(
        4,
        "of QAT on the validation split, or else on 64 training images, to choose the state that "
        "is kept; calibration alone is one of them. 0 = keep the last",
        low=0,
        high=1000,
    )


@dataclass(frozen=True)
class ExportConfig:
    """The detection graph inside the .tflite files."""

    max_detections: int = option(100, "rows of the output", low=1, high=1000)
    score_threshold: float = option(0.05, "lower scores are dropped", low=0, high=1)
    nms_iou: float = option(  # at 0 the TFLite kernel keeps a single box
        0.5, "a box that overlaps a better one by more is dropped", low=0.05, high=1
    )
    class_agnostic: bool = option(False, "suppress across classes too")
    candidates: int = option(
        2000, "(anchor, class) pairs that enter NMS, best scores first", low=1, high=10000
    )
    integer_pixels: bool = option(
        False,
        "int8 files: from pixels to the network in integers alone, for accelerators that stop at "
        "the first float operator (Edge TPU); slower on CPUs, the values are the same",
    )


@dataclass(frozen=True)
class MetadataConfig:
    """Texts for people, written into the .tflite files; an empty one is left out."""

    description: str = option("", '"" = the number of classes')
    version: str = option("", "of the model")
    author: str = option("", "who made it")
    license: str = option("", "of the model")


@dataclass(frozen=True)
class Config:
    """A whole run."""

    name: str = option("detector", "of the exported files")
    seed: int = option(0, "of everything random", low=0, high=2**32 - 1)
    data: DataConfig = field(default_factory=DataConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    anchors: AnchorConfig = field(default_factory=AnchorConfig)
    matching: MatchingConfig = field(default_factory=MatchingConfig)
    augmentation: AugmentationConfig = field(default_factory=AugmentationConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    quantize: QuantizeConfig = field(default_factory=QuantizeConfig)
    export: ExportConfig = field(default_factory=ExportConfig)
    metadata: MetadataConfig = field(default_factory=MetadataConfig)

    def __post_init__(self) -> None:
        for problem in check_options(self):
            raise ConfigError(problem)
        _check_relations(self)

    def replace(self, **sections: Any) -> Config:
        """Return a copy with whole sections or top-level fields replaced."""
        return dataclasses.replace(self, **sections)

    def to_dict(self) -> dict[str, Any]:
        """Return plain dicts and lists, ready for TOML or JSON."""
        plain: dict[str, Any] = to_plain(self)
        return plain


def load_config(
    path: Path | str | None = None,
    *,
    overrides: typing.Sequence[str] = (),
    preset: str | None = None,
    resolved: bool = False,
) -> Config:
    """Read a config file and apply overrides.

    Args:
        path: a TOML file; None for the defaults. A top-level `preset = "fast"` names the preset it
            starts from. Its relative paths are taken from its directory.
        overrides: `section.field=value` texts, values in TOML (bare words are taken as strings).
            Their relative paths are taken from the working directory.
        preset: starts from this preset unless the file names its own.
        resolved: the file is the saved config of a RUN. It gives every field, so none counts as the
            user's choice against an `augmentation.level` of `overrides`.

    Raises:
        ConfigError: unreadable file, unknown key, wrong type or a value out of range.
    """
    tree: dict[str, Any] = {}
    where = "config"
    if path is not None:
        path = Path(path)
        where = str(path)
        tree = read_toml(path)
    preset = tree.pop("preset", preset)
    _expand_image_size(tree, where)
    if path is not None:
        _make_paths_absolute(tree, path.parent)
    base = {} if preset is None else _read_preset(preset)
    changes: dict[str, Any] = {}
    for text in overrides:
        _apply_override(changes, _merge(base, tree), text)
    _expand_image_size(changes, "--set")
    _make_paths_absolute(changes, Path.cwd())
    if resolved:
        base, tree = tree, {}
    tree = _merge_levels(base, tree, changes, where)
    return config_from_dict(tree, where=where, origins=dict.fromkeys(_keys(changes), "--set"))


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file; a missing or malformed one is a ConfigError that names it."""
    try:
        return tomllib.loads(read_small_text(path))
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such config file; expected a TOML file") from None
    except IsADirectoryError:
        raise ConfigError(f"{path}: is a directory; expected a TOML file") from None
    except RecursionError:
        raise ConfigError(f"{path}: not valid TOML: its lists are nested too deeply") from None
    except ValueError as error:  # bad TOML, bad UTF-8, or a number of thousands of digits
        raise ConfigError(f"{path}: not valid TOML: {error}") from None


def config_from_dict(
    tree: dict[str, Any],
    *,
    where: str = "config",
    origins: typing.Mapping[str, str] | None = None,
) -> Config:
    """Build a Config from plain dicts, refusing unknown keys and wrong types.

    Args:
        tree: sections and fields.
        where: named in messages.
        origins: another place to name, by key.

    Raises:
        ConfigError: names the key, what was got and what is allowed.
    """
    tree = dict(tree)
    _expand_image_size(tree, where)
    tree = _with_level(tree, where)
    return Reader(where, ConfigError, origins=origins or {}).read(Config, tree)


def augmentation_level(name: str) -> dict[str, Any]:
    """Return the fields of `AugmentationConfig` that a level sets, as in TOML.

    Raises:
        ConfigError: there is no such level.
    """
    _check_level(name)
    defaults = to_plain(AugmentationConfig())
    fields = {key: defaults[key] for key in defaults if key not in _NO_MATTER_OF_LEVEL}
    return {**fields, **read_toml(PRESET_DIR / "augmentation_levels.toml")[name]}


def _merge_levels(
    base: dict[str, Any], chosen: dict[str, Any], changes: dict[str, Any], where: str
) -> dict[str, Any]:
    """Merge a preset, a user's file and `--set`, with the level of augmentation written out.

    A level gives way to all fields that the user gave, wherever the level itself was given.
    """
    levels = [_fields_of(tree, "augmentation").get("level") for tree in (chosen, changes)]
    if levels[1]:
        _refuse_idle_level(levels[1], _fields_of(chosen, "augmentation"), where)
        where = "--set"
    chosen = _merge(chosen, changes)
    if levels != [None, None]:
        base = {**base, "augmentation": {**_fields_of(base, "augmentation"), "level": ""}}
    return _merge(_with_level(base, where), _with_level(chosen, where))


def _with_level(tree: dict[str, Any], where: str) -> dict[str, Any]:
    """Return a tree in which the level of its augmentation, if it has one, is written out."""
    name = _fields_of(tree, "augmentation").get("level")
    if not name:
        return tree
    try:
        return _merge({"augmentation": augmentation_level(name)}, tree)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from None


def _refuse_idle_level(name: Any, given: dict[str, Any], where: str) -> None:
    """Refuse a level of `--set` for a file that gives all fields: it would change nothing."""
    if name in AUGMENTATION_LEVELS and given.keys() >= augmentation_level(name).keys():
        raise ConfigError(
            f"--set augmentation.level={name} would change nothing, because {where} gives every "
            "field that it sets; delete them from the file's [augmentation]"
        )


def _fields_of(tree: dict[str, Any], section: str) -> dict[str, Any]:
    fields = tree.get(section)
    return fields if isinstance(fields, dict) else {}


def is_path(text: str) -> bool:
    """Whether the value of a name-or-file field means a file: it has a suffix or a directory."""
    return bool(Path(text).suffix) or "/" in text or "\\" in text


def _read_preset(name: Any) -> dict[str, Any]:
    if name not in PRESETS:
        raise ConfigError(f"preset {name!r} is unknown; {choices_hint(str(name), PRESETS)}")
    tree = read_toml(PRESET_DIR / f"{name}.toml")
    _expand_image_size(tree, f"preset {name}")
    return tree


def _merge(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _merge(merged[key], value) if both else value
    return merged


def _expand_image_size(tree: dict[str, Any], where: str) -> None:
    """Replace the square form, `image_size = N` or `image_hw = N`, by `image_hw = [N, N]`."""
    model = tree.get("model")
    if not isinstance(model, dict):
        return
    model = tree["model"] = dict(model)
    if "image_size" in model:
        size = model.pop("image_size")
        if model.setdefault("image_hw", size) not in (size, [size, size]):
            raise ConfigError(
                f"{where}: model.image_size {size} contradicts model.image_hw "
                f"{model['image_hw']}; give only one of them"
            )
    if type(model.get("image_hw")) is int:
        model["image_hw"] = [model["image_hw"]] * 2


def _make_paths_absolute(tree: dict[str, Any], directory: Path) -> None:
    for key, rule in iterate_options(Config):
        section, _, name = key.rpartition(".")
        fields = tree.get(section)
        if not rule.path or not isinstance(fields, dict):
            continue
        text = fields.get(name)
        if isinstance(text, str) and text and (rule.path != "name-or-file" or is_path(text)):
            fields[name] = str((directory / text).resolve())


def _apply_override(changes: dict[str, Any], tree: dict[str, Any], text: str) -> None:
    """Put an override into `changes`, which will be merged over `tree`."""
    key, equals, value = text.partition("=")
    key = key.strip()
    if not equals or not key:
        raise ConfigError(f"--set {text}: expected section.field=value, e.g. --set train.epochs=3")
    *sections, name = key.split(".")
    for section in sections:
        tree = tree.get(section, {})
        changes = changes.setdefault(section, {})
        if not isinstance(tree, dict) or not isinstance(changes, dict):
            raise ConfigError(f"--set {text}: '{section}' is a field, not a section")
    changes[name] = _parse_value(value.strip())


def _parse_value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text  # a bare word, as shells hand it over without its quotes


def _keys(tree: dict[str, Any], prefix: str = "") -> typing.Iterator[str]:
    for key, value in tree.items():
        yield f"{prefix}{key}"
        if isinstance(value, dict):
            yield from _keys(value, f"{prefix}{key}.")


def _check_level(name: Any) -> None:
    if name not in AUGMENTATION_LEVELS:
        hint = choices_hint(str(name), AUGMENTATION_LEVELS)
        raise ConfigError(f"augmentation.level {name!r} is unknown; {hint}")


def _check_relations(config: Config) -> None:
    model, matching = config.model, config.matching
    widths = BACKBONES[model.backbone].widths
    if model.backbone_width not in widths:
        raise ConfigError(
            f"model.backbone_width must be one of {', '.join(map(str, widths))}; "
            f"got {model.backbone_width}"
        )
    with_weights = BACKBONES[model.backbone].imagenet_widths
    is_loaded = model.pretrained == "imagenet" and not config.train.init
    if is_loaded and model.backbone_width not in with_weights:
        raise ConfigError(
            f"model.pretrained: Keras has ImageNet weights of {model.backbone} for width "
            f"{', '.join(map(str, with_weights))} only, not {model.backbone_width}; set "
            'model.backbone_width, or model.pretrained to "none" or an .h5 file'
        )
    taps = WIRINGS[model.wiring].taps
    if taps and model.backbone not in taps:
        raise ConfigError(
            f"model.wiring {model.wiring!r} is for the backbone {' or '.join(taps)}, not "
            f"{model.backbone}; change one of them"
        )
    if model.min_level > model.max_level:
        raise ConfigError("model.min_level must not be above model.max_level")
    if min(model.image_hw) < 2**model.max_level:
        raise ConfigError(
            f"model.image_hw {list(model.image_hw)} is smaller than the stride "
            f"{2**model.max_level} of model.max_level {model.max_level}; lower max_level or raise "
            "image_hw"
        )
    if matching.negative_iou > matching.positive_iou:
        raise ConfigError("matching.negative_iou must not be above matching.positive_iou")
    if config.augmentation.level:
        _check_level(config.augmentation.level)
    low, high = config.augmentation.scale
    if low > high:
        raise ConfigError(f"augmentation.scale must be [low, high], got {low}, {high}")
    _check_name(config.name)
    if config.anchors.kind == "fitted" and not config.anchors.fit:
        raise ConfigError(
            'anchors.kind "fitted" contradicts anchors.fit false; leave out anchors.fit, '
            "which anchors.kind replaces"
        )
    _check_shapes(config.anchors.shapes, model)


def _check_name(name: str) -> None:
    if not name or name in (".", "..") or any(char in name for char in "/\\\0"):
        raise ConfigError(f"name must be usable in file names, got {name!r}")
    size = len(name.encode())
    if size > _LONGEST_NAME:  # file systems allow 255 with what is put behind it
        raise ConfigError(f"name must have at most {_LONGEST_NAME} bytes, got {size}")


def _check_shapes(shapes: tuple[tuple[tuple[float, float], ...], ...], model: ModelConfig) -> None:
    if not shapes:
        return
    levels = len(model.levels)
    if len(shapes) != levels or len({len(level) for level in shapes}) != 1 or not shapes[0]:
        raise ConfigError(
            f"anchors.shapes must be {levels} lists "
            f"(levels {model.min_level}..{model.max_level}) of equally many "
            f"[height, width] pairs, got {[len(level) for level in shapes]}"
        )
    if any(side <= 0 for level in shapes for shape in level for side in shape):
        raise ConfigError("anchors.shapes must be positive pixels")

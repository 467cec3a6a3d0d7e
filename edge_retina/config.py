"""The configuration of a run: frozen dataclasses <-> TOML.

Every field and its default stands here once. A preset or a user's file says only what differs.
`load_config` resolves, in this order: defaults, the preset, the file, `--set` overrides.
"""

from __future__ import annotations

import dataclasses
import math
import sys
import types
import typing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edge_retina.errors import ConfigError, choices_hint

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PRESETS = ("fast", "balanced", "accurate", "demo")
BACKBONE_WIDTHS = (0.35, 0.5, 0.75, 1.0)


@dataclass(frozen=True)
class DataConfig:
    """Where the pictures and labels are."""

    path: str = ""  # DATA; relative to the config file
    train_split: str = "train"
    val_split: str = "val"  # chooses the best checkpoint; "" = none, the last weights are kept
    test_split: str = "test"  # measured once, at the end
    skip_invalid: bool = False  # drop invalid boxes and images, with a warning, instead of stopping
    cache_mb: int = 2048  # decoded training images kept in memory if they all fit


@dataclass(frozen=True)
class ModelConfig:
    """The network."""

    backbone_width: float = 0.35  # MobileNetV2 alpha: 0.35, 0.5, 0.75 or 1.0
    pretrained: str = "imagenet"  # "imagenet", "none", or an .h5 file relative to the config file
    image_size: int = 256  # pixels, height = width; images are stretched to it
    min_level: int = 3  # stride 8
    max_level: int = 7  # stride 128
    fpn_channels: int = 64
    head_depth: int = 3  # separable convolutions in each head before the last one
    prior_probability: float = 0.01  # of an object at a fresh anchor (focal loss, section 4.1)


@dataclass(frozen=True)
class AnchorConfig:
    """Anchor shapes. Empty `shapes` and `fit = false` give RetinaNet's nine default shapes."""

    fit: bool = True  # choose shapes by k-means on the training boxes
    per_cell: int = 4  # shapes a cell, when fitted
    evolve: int = 0  # trials of improvement after k-means; 2000 take some seconds
    shapes: tuple[tuple[tuple[float, float], ...], ...] = ()  # by level: (height, width) in pixels


@dataclass(frozen=True)
class MatchingConfig:
    """Which anchors are trained to find which objects."""

    positive_iou: float = 0.5
    negative_iou: float = 0.4  # between the two: ignored
    force_match: bool = True  # the best anchor of every object is positive, whatever its IoU


@dataclass(frozen=True)
class AugmentationConfig:
    """Random changes to training images. Ranges are around "unchanged"; 0 switches one off."""

    horizontal_flip: float = 0.5  # probability
    vertical_flip: float = 0.0  # probability; for pictures without an up, such as microscopy
    transpose: float = 0.0  # probability of swapping x and y; likewise
    scale: tuple[float, float] = (0.75, 1.33)  # zoom factor, log-uniform; (1, 1) = off
    aspect: float = 0.1  # height/width changed by a factor in 1/(1+a)..1+a
    translate: float = 0.1  # shift in image sides
    min_visible: float = 0.3  # of a box's area; less is dropped
    brightness: float = 0.15  # shift in units of the full range
    contrast: float = 0.2
    saturation: float = 0.3
    hue: float = 0.03  # in turns of the colour circle


@dataclass(frozen=True)
class LossConfig:
    """What is minimised; both losses are divided by the number of positive anchors."""

    focal_alpha: float = 0.25
    focal_gamma: float = 2.0
    label_smoothing: float = 0.0
    box_loss: str = "giou"  # "huber", "giou" or "ciou"
    huber_delta: float = 0.1
    box_weight: float = 1.0


@dataclass(frozen=True)
class TrainConfig:
    """The float training."""

    epochs: int = 60
    steps: int = 0  # if above 0: this many steps, whatever `epochs` says
    batch_size: int = 8
    optimizer: str = "adamw"  # "adamw" or "sgd"
    learning_rate: float = 0.003
    warmup_steps: int = 100
    final_learning_rate: float = 0.01  # of the peak, at the end of the cosine
    momentum: float = 0.9  # sgd
    weight_decay: float = 0.0001  # decoupled from the gradient; never on biases and BatchNorm
    clip_norm: float = 10.0  # of all gradients together; 0 = off
    ema_decay: float = 0.998  # 0 = off
    freeze_backbone_batchnorm: bool = False  # keep ImageNet statistics
    eval_every_epochs: int = 5
    tensorboard: bool = True


@dataclass(frozen=True)
class QuantizeConfig:
    """int8."""

    method: str = "qat"  # "qat" or "ptq"
    recipe: str = ""  # TOML file that says what is quantised how; "" = all of it, see calibration/
    calibration_images: int = 128
    calibration_selection: str = "stratified"  # "stratified", "random" or "first"
    calibration_set: str = ""  # JSON file of `quantize --pin`: these pictures and no others
    ranges: str = "minmax"  # of activations: "minmax", "percentile" or "mse"
    percentile: float = 99.99  # of a tensor's values that its range holds, for "percentile"
    relu: str = "relu6"  # "relu" puts ReLU in the place of ReLU6
    equalize: bool = False  # even out the channels of neighbouring layers first
    correct_bias: bool = True  # take the mean error of rounded weights out of the biases
    epochs: int = 8
    steps: int = 0  # if above 0: this many steps, whatever `epochs` says
    learning_rate: float = 0.00005
    warmup_steps: int = 20
    freeze_ranges_at: float = 0.5  # of the QAT steps: activation ranges stop moving there
    distillation: float = 1.0  # weight of the distance to the float model's outputs; 0 = off
    evaluations: int = 4  # of QAT on the validation split, the best is kept; 0 = the last is


@dataclass(frozen=True)
class ExportConfig:
    """The detection graph inside the .tflite files."""

    max_detections: int = 100
    score_threshold: float = 0.05
    nms_iou: float = 0.5
    class_agnostic: bool = False
    candidates: int = 2000  # (anchor, class) pairs that enter NMS, best scores first


@dataclass(frozen=True)
class MetadataConfig:
    """Texts for people, written into the .tflite files; an empty one is left out."""

    description: str = ""  # "" = the number of classes
    version: str = ""
    author: str = ""
    license: str = ""


@dataclass(frozen=True)
class Config:
    """A whole run."""

    name: str = "detector"
    seed: int = 0
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
        _check_values(self)

    def replace(self, **sections: Any) -> Config:
        """Return a copy with whole sections or top-level fields replaced."""
        return dataclasses.replace(self, **sections)

    def to_dict(self) -> dict[str, Any]:
        """Return plain dicts and lists, ready for TOML or JSON."""
        return _plain(dataclasses.asdict(self))


def load_config(
    path: Path | str | None = None,
    *,
    overrides: typing.Sequence[str] = (),
    preset: str | None = None,
) -> Config:
    """Read a config file and apply overrides.

    Args:
        path: a TOML file; None for the defaults. A top-level `preset = "fast"` names the preset it
            starts from. Relative `data.path` and `model.pretrained` are taken from its directory.
        overrides: `section.field=value` texts, values in TOML (bare words are taken as strings).
        preset: starts from this preset unless the file names its own.

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
    if preset is not None:
        tree = _merge(_read_preset(preset), tree)
    if path is not None:
        _resolve_paths(tree, path.parent)
    for text in overrides:
        _apply_override(tree, text)
    return config_from_dict(tree, where=where)


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file; a missing or malformed one is a ConfigError that names it."""
    try:
        with open(path, "rb") as stream:
            return tomllib.load(stream)
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such config file; expected a TOML file") from None
    except IsADirectoryError:
        raise ConfigError(f"{path}: is a directory; expected a TOML file") from None
    except ValueError as error:  # bad TOML, bad UTF-8, or a number of thousands of digits
        raise ConfigError(f"{path}: not valid TOML: {error}") from None


def config_from_dict(tree: dict[str, Any], *, where: str = "config") -> Config:
    """Build a Config from plain dicts, refusing unknown keys and wrong types.

    Raises:
        ConfigError: names the key, what was got and what is allowed.
    """
    return _build(Config, tree, where=where, prefix="")


def _read_preset(name: Any) -> dict[str, Any]:
    if name not in PRESETS:
        raise ConfigError(f"preset {name!r} is unknown; {choices_hint(str(name), PRESETS)}")
    return read_toml(Path(__file__).parent / "presets" / f"{name}.toml")


def _merge(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _merge(merged[key], value) if both else value
    return merged


def _resolve_paths(tree: dict[str, Any], directory: Path) -> None:
    data, model, quantize = (tree.get(section) for section in ("data", "model", "quantize"))
    if isinstance(data, dict) and isinstance(data.get("path"), str) and data["path"]:
        data["path"] = str((directory / data["path"]).resolve())
    if isinstance(model, dict) and str(model.get("pretrained", "")).endswith(".h5"):
        model["pretrained"] = str((directory / model["pretrained"]).resolve())
    for key in ("recipe", "calibration_set"):
        if isinstance(quantize, dict) and isinstance(quantize.get(key), str) and quantize[key]:
            quantize[key] = str((directory / quantize[key]).resolve())


def _apply_override(tree: dict[str, Any], text: str) -> None:
    key, equals, value = text.partition("=")
    key = key.strip()
    if not equals or not key:
        raise ConfigError(f"--set {text}: expected section.field=value, e.g. --set train.epochs=3")
    *sections, name = key.split(".")
    for section in sections:
        tree = tree.setdefault(section, {})
        if not isinstance(tree, dict):
            raise ConfigError(f"--set {text}: '{section}' is a field, not a section")
    tree[name] = _parse_value(value.strip())


def _parse_value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text  # a bare word, as shells hand it over without its quotes


def _build(cls: type, tree: Any, *, where: str, prefix: str) -> Any:
    if not isinstance(tree, dict):
        raise ConfigError(f"{where}: '{prefix.rstrip('.')}' must be a section, got {tree!r}")
    types_of = typing.get_type_hints(cls)
    values = {}
    for key, value in tree.items():
        if key not in types_of:
            raise ConfigError(
                f"{where}: unknown key '{prefix}{key}'; {choices_hint(key, types_of)}"
            )
        wanted = types_of[key]
        if dataclasses.is_dataclass(wanted):
            values[key] = _build(
                typing.cast(type, wanted), value, where=where, prefix=f"{prefix}{key}."
            )
        else:
            values[key] = _convert(value, wanted, where=f"{where}: {prefix}{key}")
    return cls(**values)


def _convert(value: Any, wanted: Any, *, where: str) -> Any:
    origin = typing.get_origin(wanted)
    if origin is tuple:
        if not isinstance(value, (list, tuple)):
            raise ConfigError(f"{where} must be a list, got {value!r}")
        args = typing.get_args(wanted)
        if args[-1] is Ellipsis:
            return tuple(_convert(item, args[0], where=where) for item in value)
        if len(value) != len(args):
            raise ConfigError(f"{where} must have {len(args)} values, got {value!r}")
        return tuple(_convert(i, a, where=where) for i, a in zip(value, args, strict=True))
    if wanted is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(wanted, types.UnionType) or type(value) is not wanted:
        raise ConfigError(
            f"{where} must be {wanted.__name__}, got {type(value).__name__} {value!r}"
        )
    return value


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value


# Ranges: (key, lowest, highest), both allowed.
_RANGES: tuple[tuple[str, float, float], ...] = (
    ("data.cache_mb", 0, math.inf),
    ("model.image_size", 32, 2048),
    ("model.min_level", 3, 5),
    ("model.max_level", 3, 7),
    ("model.fpn_channels", 8, 512),
    ("model.head_depth", 0, 8),
    ("model.prior_probability", 1e-6, 0.5),
    ("anchors.per_cell", 1, 16),
    ("anchors.evolve", 0, 100_000),
    ("matching.positive_iou", 0.05, 0.95),
    ("matching.negative_iou", 0.0, 0.95),
    ("augmentation.horizontal_flip", 0, 1),
    ("augmentation.vertical_flip", 0, 1),
    ("augmentation.transpose", 0, 1),
    ("augmentation.aspect", 0, 1),
    ("augmentation.translate", 0, 0.5),
    ("augmentation.min_visible", 0, 1),
    ("augmentation.brightness", 0, 1),
    ("augmentation.contrast", 0, 0.9),
    ("augmentation.saturation", 0, 1),
    ("augmentation.hue", 0, 0.5),
    ("loss.focal_alpha", 0, 1),
    ("loss.focal_gamma", 0, 10),
    ("loss.label_smoothing", 0, 0.5),
    ("loss.huber_delta", 1e-6, 10),
    ("loss.box_weight", 0, 1000),
    ("train.epochs", 1, math.inf),
    ("train.steps", 0, math.inf),
    ("train.batch_size", 1, 4096),
    ("train.learning_rate", 1e-9, 10),
    ("train.warmup_steps", 0, math.inf),
    ("train.final_learning_rate", 0, 1),
    ("train.momentum", 0, 0.9999),
    ("train.weight_decay", 0, 1),
    ("train.clip_norm", 0, math.inf),
    ("train.ema_decay", 0, 0.99999),
    ("train.eval_every_epochs", 1, math.inf),
    ("quantize.calibration_images", 1, math.inf),
    ("quantize.percentile", 50, 100),
    ("quantize.evaluations", 0, 1000),
    ("quantize.epochs", 1, math.inf),
    ("quantize.steps", 0, math.inf),
    ("quantize.learning_rate", 0, 10),
    ("quantize.warmup_steps", 0, math.inf),
    ("quantize.freeze_ranges_at", 0, 1),
    ("quantize.distillation", 0, 1000),
    ("export.max_detections", 1, 1000),
    ("export.score_threshold", 0, 1),
    ("export.nms_iou", 0.05, 1),  # at 0 the TFLite kernel keeps a single box
    ("export.candidates", 1, 10000),
)
_CHOICES: tuple[tuple[str, tuple[Any, ...]], ...] = (
    ("model.backbone_width", BACKBONE_WIDTHS),
    ("loss.box_loss", ("huber", "giou", "ciou")),
    ("train.optimizer", ("adamw", "sgd")),
    ("quantize.method", ("qat", "ptq")),
    ("quantize.calibration_selection", ("stratified", "random", "first")),
    ("quantize.ranges", ("minmax", "percentile", "mse")),
    ("quantize.relu", ("relu6", "relu")),
)


def _check_values(config: Config) -> None:
    for key, low, high in _RANGES:
        value = _value_at(config, key)
        if not low <= value <= high:
            raise ConfigError(f"{key} must be in {low:g}..{high:g}, got {value:g}")
    for key, allowed in _CHOICES:
        value = _value_at(config, key)
        if value not in allowed:
            raise ConfigError(f"{key} must be one of {', '.join(map(str, allowed))}; got {value!r}")
    _check_relations(config)


def _check_relations(config: Config) -> None:
    model, matching, shapes = config.model, config.matching, config.anchors.shapes
    if model.min_level > model.max_level:
        raise ConfigError("model.min_level must not be above model.max_level")
    if model.image_size % 32:
        raise ConfigError(f"model.image_size must be a multiple of 32, got {model.image_size}")
    if model.image_size < 2**model.max_level:
        raise ConfigError(
            f"model.image_size {model.image_size} is smaller than the stride {2**model.max_level} "
            f"of model.max_level {model.max_level}; lower max_level or raise image_size"
        )
    if matching.negative_iou > matching.positive_iou:
        raise ConfigError("matching.negative_iou must not be above matching.positive_iou")
    low, high = config.augmentation.scale
    if not 0.1 <= low <= high <= 10:
        raise ConfigError(
            f"augmentation.scale must be low <= high within 0.1..10, got {low}, {high}"
        )
    if not config.name or any(c in config.name for c in "/\\\0"):
        raise ConfigError(f"name must be usable in file names, got {config.name!r}")
    if shapes:
        levels = model.max_level - model.min_level + 1
        if len(shapes) != levels or len({len(level) for level in shapes}) != 1 or not shapes[0]:
            raise ConfigError(
                f"anchors.shapes must be {levels} lists "
                f"(levels {model.min_level}..{model.max_level}) of equally many "
                f"[height, width] pairs, got {[len(s) for s in shapes]}"
            )
        if any(side <= 0 for level in shapes for shape in level for side in shape):
            raise ConfigError("anchors.shapes must be positive pixels")


def _value_at(config: Config, key: str) -> Any:
    value: Any = config
    for name in key.split("."):
        value = getattr(value, name)
    return value

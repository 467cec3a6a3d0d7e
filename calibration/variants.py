"""What the calibration study compares."""

from __future__ import annotations

from dataclasses import dataclass

# Every PTQ row but the main one differs from this by what its name says.
_PLAIN = (
    "quantize.ranges=minmax",
    "quantize.relu=relu6",
    "quantize.equalize=false",
    "quantize.correct_bias=false",
)
_CHOSEN = 'quantize.calibration_set=""'  # instead of the pinned set of the config
_RELU, _CLE = "quantize.relu=relu", "quantize.equalize=true"
_CORRECT, _MSE = "quantize.correct_bias=true", "quantize.ranges=mse"
_LAST = "quantize.evaluations=0"  # keep the last weights


@dataclass(frozen=True)
class Variant:
    """One way to quantise.

    Attributes:
        group: rows that belong together in the table.
        name: of the row.
        method: "ptq", "qat", or "tfmot": `quantize_model` of tfmot with its own defaults.
        overrides: `quantize.FIELD=VALUE` on top of the run's config.
    """

    group: str
    name: str
    method: str
    overrides: tuple[str, ...] = ()


def _plain(group: str, name: str, *overrides: str) -> Variant:
    return Variant(group, name, "ptq", (*_PLAIN, *overrides))


def _qat(name: str, *overrides: str) -> Variant:
    return Variant("qat", name, "qat", (_LAST, *overrides))


def _recipe(name: str) -> str:
    return f"quantize.recipe={name}"


def _selected(strategy: str, seed: int) -> Variant:
    return _plain(
        "selection",
        f"16 {strategy}, seed {seed}",
        _CHOSEN,
        "quantize.calibration_images=16",
        f"quantize.calibration_selection={strategy}",
        f"seed={seed}",
    )


MAIN = (Variant("main", "PTQ", "ptq"), Variant("main", "QAT", "qat"))
PEER = (Variant("peer", "tfmot quantize_model", "tfmot"),)
PTQ = (
    _plain("base", "base"),
    *(
        _plain("images", f"{count} images", _CHOSEN, f"quantize.calibration_images={count}")
        for count in (8, 16, 32, 64, 256, 512)
    ),
    *(_selected(strategy, seed) for strategy in ("stratified", "random") for seed in (1, 2, 3)),
    _plain(
        "selection",
        "the first 16",
        _CHOSEN,
        "quantize.calibration_images=16",
        "quantize.calibration_selection=first",
    ),
    _plain("ranges", "percentile 99.99", "quantize.ranges=percentile"),
    _plain("ranges", "percentile 99.9", "quantize.ranges=percentile", "quantize.percentile=99.9"),
    _plain("ranges", "mse", _MSE),
    _plain("graph", "ReLU", _RELU),
    _plain("graph", "CLE", _CLE),
    _plain("graph", "ReLU + CLE", _RELU, _CLE),
    _plain("graph", "bias correction", _CORRECT),
    _plain("graph", "bias correction + mse", _CORRECT, _MSE),
    _plain("graph", "bias correction + CLE", _CORRECT, _CLE),
    _plain("recipes", "depthwise per tensor", _recipe("per_tensor_depthwise")),
    _plain("recipes", "all per tensor", _recipe("per_tensor")),
    _plain("recipes", "all per tensor, ReLU + CLE", _recipe("per_tensor"), _RELU, _CLE),
    _plain("recipes", "all per tensor, bias correction", _recipe("per_tensor"), _CORRECT),
    _plain("recipes", "ranges shared by levels", _recipe("shared_ranges")),
    _plain("recipes", "float box tail", _recipe("float_box_tail")),
    _plain("recipes", "int16 x int8", _recipe("int16x8")),
    _plain("recipes", "dynamic range", _recipe("dynamic_range")),
)
QAT = (
    _qat("last weights"),
    _qat("800 steps", "quantize.steps=800"),
    _qat("no distillation", "quantize.distillation=0"),
    _qat("depthwise per tensor", _recipe("per_tensor_depthwise")),
    _qat("ranges shared by levels", _recipe("shared_ranges")),
)
SETS = {
    "main": MAIN,
    "ptq": (*MAIN, *PEER, *PTQ),
    "qat": (*MAIN, *PEER, *QAT),
    "all": (*MAIN, *PEER, *PTQ, *QAT),
}

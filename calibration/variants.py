"""What the calibration study compares."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

RECIPES = Path(__file__).parent / "recipes"
_CHOSEN = ('quantize.calibration_set=""',)  # not the pinned set of the config


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


def _recipe(name: str) -> str:
    return f"quantize.recipe={RECIPES / name}.toml"


def _images() -> list[Variant]:
    return [
        Variant(
            "images", f"{count} images", "ptq", (*_CHOSEN, f"quantize.calibration_images={count}")
        )
        for count in (8, 16, 32, 64, 256, 512)
    ]


def _selection() -> list[Variant]:
    rows = []
    for strategy in ("stratified", "random"):
        for seed in (1, 2, 3):
            settings = (
                *_CHOSEN,
                "quantize.calibration_images=16",
                f"quantize.calibration_selection={strategy}",
                f"seed={seed}",
            )
            rows.append(Variant("selection", f"16 {strategy}, seed {seed}", "ptq", settings))
    first = (*_CHOSEN, "quantize.calibration_images=16", "quantize.calibration_selection=first")
    return [*rows, Variant("selection", "the first 16", "ptq", first)]


MAIN = (
    Variant("main", "PTQ", "ptq"),
    Variant("main", "QAT", "qat"),
)
PEER = Variant("peer", "tfmot quantize_model", "tfmot")
PTQ = (
    *_images(),
    *_selection(),
    Variant("ranges", "percentile 99.99", "ptq", ("quantize.ranges=percentile",)),
    Variant(
        "ranges",
        "percentile 99.9",
        "ptq",
        ("quantize.ranges=percentile", "quantize.percentile=99.9"),
    ),
    Variant("ranges", "mse", "ptq", ("quantize.ranges=mse",)),
    Variant("graph", "ReLU", "ptq", ("quantize.relu=relu",)),
    Variant("graph", "CLE", "ptq", ("quantize.equalize=true",)),
    Variant("graph", "ReLU + CLE", "ptq", ("quantize.relu=relu", "quantize.equalize=true")),
    Variant("graph", "bias correction", "ptq", ("quantize.correct_bias=true",)),
    Variant("recipes", "depthwise per tensor", "ptq", (_recipe("per_tensor_depthwise"),)),
    Variant("recipes", "all per tensor", "ptq", (_recipe("per_tensor"),)),
    Variant(
        "recipes",
        "all per tensor, ReLU + CLE",
        "ptq",
        (_recipe("per_tensor"), "quantize.relu=relu", "quantize.equalize=true"),
    ),
    Variant(
        "recipes",
        "all per tensor, bias correction",
        "ptq",
        (_recipe("per_tensor"), "quantize.correct_bias=true"),
    ),
    Variant("recipes", "ranges shared by levels", "ptq", (_recipe("shared_ranges"),)),
    Variant("recipes", "float box tail", "ptq", (_recipe("float_box_tail"),)),
    Variant("recipes", "int16 x int8", "ptq", (_recipe("int16x8"),)),
    Variant("recipes", "dynamic range", "ptq", (_recipe("dynamic_range"),)),
)
QAT = (
    Variant("qat", "last weights", "qat", ("quantize.evaluations=0",)),
    Variant("qat", "100 steps", "qat", ("quantize.steps=100", "quantize.evaluations=0")),
    Variant("qat", "200 steps", "qat", ("quantize.steps=200", "quantize.evaluations=0")),
    Variant("qat", "800 steps", "qat", ("quantize.steps=800", "quantize.evaluations=0")),
    Variant("qat", "no distillation", "qat", ("quantize.distillation=0", "quantize.evaluations=0")),
    Variant(
        "qat",
        "depthwise per tensor",
        "qat",
        (_recipe("per_tensor_depthwise"), "quantize.evaluations=0"),
    ),
    Variant(
        "qat",
        "ranges shared by levels",
        "qat",
        (_recipe("shared_ranges"), "quantize.evaluations=0"),
    ),
)
SETS = {
    "main": MAIN,
    "ptq": (*MAIN, PEER, *PTQ),
    "qat": (*MAIN, PEER, *QAT),
    "all": (*MAIN, PEER, *PTQ, *QAT),
}

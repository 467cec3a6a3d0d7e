"""JSON schemas of what the commands write: `docs/schemas/NAME.json`.

`python -m docs.site.schemas` writes them. It refuses a change that may break programs which read
the documents, unless the version is raised here and in the code that writes the document.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

from docs.site.json_schema import (
    Schema,
    breaking_changes,
    list_of,
    map_of,
    object_schema,
    or_null,
    schema_of,
    type_schema,
)
from edge_retina.benchmark.environment import Environment
from edge_retina.benchmark.results import (
    SCHEMA_VERSION as BENCHMARK_VERSION,
)
from edge_retina.benchmark.results import (
    BenchmarkReport,
    BenchmarkResult,
    Comparison,
)
from edge_retina.boxes.coverage import AnchorCoverage
from edge_retina.design.object_fit import ObjectFit
from edge_retina.design.search import SCHEMA_VERSION as DESIGN_VERSION
from edge_retina.doctor.advice import Advice
from edge_retina.doctor.data.examine import SCHEMA_VERSION as DOCTOR_VERSION
from edge_retina.doctor.findings import Finding
from edge_retina.evaluation.class_map import ClassMap
from edge_retina.evaluation.coco_metrics import CocoMetrics
from edge_retina.files import write_text
from edge_retina.runtime.manifest import SCHEMA_VERSION as MANIFEST_VERSION
from edge_retina.runtime.manifest import Manifest

DIRECTORY = Path(__file__).resolve().parent.parent / "schemas"
DRAFT = "http://json-schema.org/draft-07/schema#"
# Of documents that don't state their version.
EVALUATE_VERSION = 1
METRICS_VERSION = 1
PREDICT_VERSION = 1

NUMBER: Schema = {"type": "number"}
INTEGER: Schema = {"type": "integer"}
TEXT: Schema = {"type": "string"}
ANY_OBJECT: Schema = {"type": "object"}
SIZE_HW: Schema = {**list_of(INTEGER), "minItems": 2, "maxItems": 2}


def _version(number: int) -> Schema:
    return {"const": number, "description": "of this document"}


def manifest() -> Schema:
    """`manifest.json` of an export directory."""
    added_later = ("verification", "layouts")
    version = _version(MANIFEST_VERSION)
    return schema_of(Manifest, optional=added_later, schema_version=version)


def evaluate() -> Schema:
    """`edge-retina evaluate --json`."""
    interval = or_null({**list_of(NUMBER), "minItems": 2, "maxItems": 2})
    about = {"level": NUMBER, "method": TEXT, "resamples": INTEGER, "seed": INTEGER}
    figures = {"mAP": interval, "mAP50": interval, "per_class": map_of(interval)}
    model = object_schema({"path": TEXT, "sha256": TEXT, "form": TEXT}, optional=("form",))
    data = object_schema({"path": TEXT, "split": TEXT, "sha256": TEXT})
    more = {
        "model": model,
        "backend": TEXT,
        "data": data,
        "intervals": object_schema({**about, **figures}),
    }
    lists = schema_of(ClassMap)
    against = schema_of(CocoMetrics, **more, difference=ANY_OBJECT)
    return schema_of(
        CocoMetrics,
        optional=("classes", "errors", "against"),
        **more,
        classes=lists,
        errors=ANY_OBJECT,
        against=against,
    )


def benchmark() -> Schema:
    """`edge-retina benchmark --json`."""
    texts = list_of(TEXT)
    result = schema_of(BenchmarkResult, warnings=texts, warning_codes=texts)
    return schema_of(
        BenchmarkReport,
        schema_version=_version(BENCHMARK_VERSION),
        results=list_of(result),
        comparisons=list_of(schema_of(Comparison, verdict=TEXT)),
    )


def predict() -> Schema:
    """`edge-retina predict --json`."""
    box = {
        **list_of(NUMBER),
        "minItems": 4,
        "maxItems": 4,
        "description": "ymin xmin ymax xmax in pixels of the image",
    }
    detections = list_of(object_schema({"label": TEXT, "score": NUMBER, "box_px": box}))
    size = {"path": TEXT, "height": INTEGER, "width": INTEGER}
    image = object_schema({**size, "detections": detections})
    frame = object_schema({"frame": INTEGER, "detections": detections})
    video = object_schema({**size, "fps": NUMBER, "frames": list_of(frame)})
    return object_schema(
        {
            "schema_version": _version(PREDICT_VERSION),
            "model": TEXT,
            "form": TEXT,
            "predictions": list_of({"anyOf": [image, video]}),
            "failures": list_of(object_schema({"path": TEXT, "error": TEXT})),
        },
        optional=("form",),
    )


def doctor() -> Schema:
    """`edge-retina doctor DATA --json`."""
    shares = ("p0", "p5", "p25", "p50", "p75", "p95", "p100")
    spread = or_null(object_schema(dict.fromkeys(shares, NUMBER)))
    coverage = schema_of(AnchorCoverage, optional=("positives_per_object",))
    shapes = list_of(list_of({**list_of(NUMBER), "minItems": 2, "maxItems": 2}))
    anchor_set = schema_of(
        AnchorCoverage,
        optional=("positives_per_object",),
        shapes=shapes,
        as_drawn=coverage,
        held_out=coverage,
    )
    anchors = object_schema(
        {
            "levels": list_of(INTEGER),
            "sets": map_of(anchor_set),
            "held_out_objects": TEXT,
            "square_reach": ANY_OBJECT,
            "fitted_objects": list_of(list_of(INTEGER)),
            "curve": list_of(ANY_OBJECT),
            "recommended_per_cell": INTEGER,
        }
    )
    objects = object_schema(
        {
            "count": INTEGER,
            "under_8_px": or_null(NUMBER),
            **dict.fromkeys(("side_px", "aspect", "per_image"), spread),
            "lost_to_nms": map_of(NUMBER),
        }
    )
    fixed = object_schema({"path": TEXT, "done": list_of(TEXT)})
    return object_schema(
        {
            "schema_version": _version(DOCTOR_VERSION),
            "edge_retina_version": TEXT,
            "data": object_schema({"path": TEXT, "layout": TEXT}),
            "image_size": or_null(INTEGER),
            "image_hw": SIZE_HW,
            "images": map_of(INTEGER),
            "boxes": map_of(INTEGER),
            "findings": list_of(schema_of(Finding, help=TEXT, optional=("help",))),
            "objects": objects,
            "anchors": or_null(anchors),
            "advice": list_of(schema_of(Advice)),
            "fixed": fixed,
        },
        optional=("fixed",),
    )


def metrics() -> Schema:
    """A line of `metrics.jsonl` in a RUN."""
    losses = {
        **dict.fromkeys(("loss", "cls_loss", "box_loss", "learning_rate"), NUMBER),
        "images_per_second": NUMBER,
    }
    step = {"step": {**INTEGER, "description": "steps done"}}
    training = {
        "type": "object",
        "description": "means over the steps since the last such line",
        "properties": {**step, **losses},
        "required": ["step", "learning_rate", "loss", "cls_loss", "box_loss"],
        "additionalProperties": {
            "anyOf": [or_null(NUMBER), list_of(NUMBER)],
            "description": "a figure of docs/training_log.md",
        },
    }
    validation = {
        "type": "object",
        "description": "an evaluation on the validation split",
        "properties": {
            **step,
            "epoch": NUMBER,
            "mAP": NUMBER,
            "mAP50": NUMBER,
            "per_class": map_of(or_null(NUMBER)),
            "detections": INTEGER,
            "errors": map_of(NUMBER),
            "probe": map_of(ANY_OBJECT),
        },
        "required": ["step", "mAP", "mAP50"],
    }
    other = {
        "type": "object",
        "description": "losses on fixed images without a validation split, or a part of a training",
        "properties": step,
        "required": ["step"],
        "not": {"anyOf": [{"required": ["loss"]}, {"required": ["mAP"]}]},
    }
    return {"anyOf": [training, validation, other]}


def design() -> Schema:
    """`edge-retina design --json`."""
    network = {
        "title": TEXT,
        "backbone": TEXT,
        "backbone_width": NUMBER,
        "image_hw": SIZE_HW,
        **dict.fromkeys(("min_level", "max_level", "fpn_channels", "head_depth"), INTEGER),
        **dict.fromkeys(("anchors_per_cell", "macs", "capacity_macs"), INTEGER),
        "predicted_ms": or_null(NUMBER),
        "measured_ms": or_null(NUMBER),
        "objects": or_null(schema_of(ObjectFit, sides_cells=list_of(NUMBER))),
        "on_front": {"type": "boolean"},
    }
    return object_schema(
        {
            "schema_version": _version(DESIGN_VERSION),
            "device": TEXT,
            "environment": type_schema(Environment),
            "backend": TEXT,
            "threads": INTEGER,
            "budget_ms": NUMBER,
            "capacity": TEXT,
            "chosen": TEXT,
            "file": TEXT,
            "measured_to_predicted": NUMBER,
            "looked_at": INTEGER,
            "networks": list_of(object_schema(network)),
        }
    )


# By the file's name: what makes it, and the version of the document.
SCHEMAS: dict[str, tuple[Callable[[], Schema], int]] = {
    "manifest": (manifest, MANIFEST_VERSION),
    "evaluate": (evaluate, EVALUATE_VERSION),
    "benchmark": (benchmark, BENCHMARK_VERSION),
    "predict": (predict, PREDICT_VERSION),
    "doctor": (doctor, DOCTOR_VERSION),
    "metrics": (metrics, METRICS_VERSION),
    "design": (design, DESIGN_VERSION),
}


def schema_named(name: str) -> Schema:
    """Return a schema with its head: draft, title, what it is of, and its version."""
    make, version = SCHEMAS[name]
    head = {"$schema": DRAFT, "title": name, "description": make.__doc__, "version": version}
    body = make()
    return {**head, **{key: value for key, value in body.items() if key not in head}}


def schema_text(name: str) -> str:
    """Return the content of a schema's file."""
    return json.dumps(schema_named(name), indent=2, ensure_ascii=False) + "\n"


def refusals(name: str) -> list[str]:
    """Return why the file of a schema must not be overwritten: changes that need a new version."""
    path = DIRECTORY / f"{name}.json"
    if not path.is_file():
        return []
    old, new = json.loads(path.read_text(encoding="utf-8")), schema_named(name)
    return [] if old["version"] != new["version"] else list(breaking_changes(old, new))


def main() -> int:
    """Write the schemas; exit code 1, and nothing written, if a version has to be raised."""
    problems = [f"{name}: {line}" for name in SCHEMAS for line in refusals(name)]
    if problems:
        print(
            *problems,
            "raise the document's schema version, or undo the change",
            sep="\n",
            file=sys.stderr,
        )
        return 1
    for name in SCHEMAS:
        write_text(DIRECTORY / f"{name}.json", schema_text(name))
    return 0


if __name__ == "__main__":
    sys.exit(main())

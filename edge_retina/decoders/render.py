"""Fill a language's template with a plan."""

from __future__ import annotations

import math
from dataclasses import dataclass
from importlib.resources import files

from jinja2 import Environment, StrictUndefined

from edge_retina import __version__
from edge_retina.boxes.codec import CODE_SCALES, MAX_LOG_SIZE
from edge_retina.boxes.nms import SMALLEST_SIDE
from edge_retina.decoders.language import Language
from edge_retina.decoders.literals import camel_case, comment_text, float_text, snake_case
from edge_retina.decoders.plan import DecoderPlan, LevelPlan
from edge_retina.runtime.raw_layout import RawTensor
from edge_retina.runtime.tensor_contract import shape_text

# Jinja's usual braces are part of all these languages.
_ENVIRONMENT = Environment(
    block_start_string="<%",
    block_end_string="%>",
    variable_start_string="<%=",
    variable_end_string="%>",
    comment_start_string="<%#",
    comment_end_string="%>",
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
    autoescape=False,  # that would be for HTML; `Language.string` quotes
    undefined=StrictUndefined,
)
_FLOAT, _FLOAT_BYTES = "float32", 4


@dataclass(frozen=True)
class _Output:
    """An output as the templates see it; `label` is its name as an identifier."""

    index: int
    label: str
    dtype: str
    shape: str
    length: int
    bytes: int


def file_name(model_file: str, language: Language) -> str:
    """Return the name of a decoder's file for the name of a model file."""
    name = _names(model_file)[1 if language.names_file_by_type else 0]
    return f"{name}{language.suffix}"


def head_of(model_file: str) -> str:
    """Return how every decoder of a model file begins, after the sign of a comment."""
    return f"Decoder of {comment_text(model_file)}, made by edge-retina "


def render_decoder(plan: DecoderPlan, language: Language) -> str:
    """Return the source text of a decoder."""
    source = files(__package__) / "templates" / language.template
    template = _ENVIRONMENT.from_string(source.read_text(encoding="utf-8"))
    name, type_name = _names(plan.model_file)
    return template.render(
        plan=plan,
        version=__version__,
        name=name,
        type_name=type_name,
        file_name=file_name(plan.model_file, language),
        model_comment=comment_text(plan.model_file),
        within="across" if plan.class_agnostic else "within",
        outputs=[_output(output) for output in plan.outputs],
        label_of=_label_of,
        per_cell=len(plan.levels[0].shapes),
        class_is_float=plan.classes_dtype == _FLOAT,
        code_is_float=plan.codes_dtype == _FLOAT,
        types=language.types,
        string=language.string,
        real=float_text,
        least=_least,
        shift_scale=CODE_SCALES[0],
        size_scale=CODE_SCALES[2],
        max_log_size=MAX_LOG_SIZE,
        smallest_side=SMALLEST_SIDE,
    )


def _names(model_file: str) -> tuple[str, str]:
    """Return the name of a module and that of a type."""
    name = f"{snake_case(model_file.removesuffix('.tflite'))}_decoder"
    return name, camel_case(name)


def _output(tensor: RawTensor) -> _Output:
    length = math.prod(tensor.shape)
    return _Output(
        index=tensor.index,
        label=_label_of(tensor),
        dtype=tensor.dtype,
        shape=shape_text(tensor.shape),
        length=length,
        bytes=length * (_FLOAT_BYTES if tensor.dtype == _FLOAT else 1),
    )


def _label_of(tensor: RawTensor) -> str:
    return tensor.content if tensor.level is None else f"{tensor.content}_p{tensor.level}"


def _least(level: LevelPlan) -> str:
    return float_text(level.least) if level.classes.dtype == _FLOAT else str(int(level.least))

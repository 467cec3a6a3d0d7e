"""Write decoders beside a model file, or elsewhere; files that are not ours are left alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from edge_retina.decoders.plan import DecoderPlan
from edge_retina.decoders.render import file_name, head_of, render_decoder
from edge_retina.decoders.table import LANGUAGES
from edge_retina.errors import ExportError, choices_hint
from edge_retina.files import write_text

_HEAD_BYTES = 4096


def check_languages(names: Iterable[str]) -> None:
    """Refuse a language that there is no template for.

    Raises:
        ExportError: names it and the languages that there are.
    """
    for name in names:
        if name not in LANGUAGES:
            raise ExportError(f"decoder language {name!r}: {choices_hint(name, LANGUAGES)}")


def decoder_names(model_files: Iterable[str], languages: Sequence[str]) -> list[str]:
    """Return the names of the files that are written for some model files."""
    return [
        file_name(model_file, LANGUAGES[language])
        for model_file in model_files
        for language in languages
    ]


def check_targets(directory: Path, model_files: Sequence[str], languages: Sequence[str]) -> None:
    """Refuse to replace a file that is not a decoder of its model.

    Args:
        directory: that the decoders are to be written into.
        model_files: names of .tflite files.
        languages: of `LANGUAGES`.

    Raises:
        ExportError: names the file.
    """
    makers: dict[str, str] = {}
    for model_file in model_files:
        for language in languages:
            name = file_name(model_file, LANGUAGES[language])
            if makers.setdefault(name, model_file) != model_file:
                raise ExportError(
                    f"{directory / name}: would be the decoder of both {makers[name]} and "
                    f"{model_file}; make them in directories of their own"
                )
            if not _may_replace(directory / name, model_file):
                raise ExportError(
                    f"{directory / name} already exists and is no decoder of {model_file}; "
                    "move it away, or choose another --out"
                )


def write_decoders(plan: DecoderPlan, directory: Path, languages: Sequence[str]) -> list[Path]:
    """Write the decoders of one model file; return their paths in the order of `languages`.

    Args:
        plan: what to fill in.
        directory: is made if it is missing.
        languages: of `LANGUAGES`.

    Raises:
        ExportError: a file that is not ours is in the way; nothing is written.
    """
    check_targets(directory, [plan.model_file], languages)
    texts = {
        directory / file_name(plan.model_file, LANGUAGES[name]): render_decoder(
            plan, LANGUAGES[name]
        )
        for name in languages
    }
    for path, text in texts.items():
        write_text(path, text)
    return list(texts)


def _may_replace(path: Path, model_file: str) -> bool:
    if not path.exists() and not path.is_symlink():
        return True
    if not path.is_file():
        return False
    with open(path, "rb") as stream:
        return head_of(model_file).encode() in stream.read(_HEAD_BYTES)

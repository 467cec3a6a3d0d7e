"""Write decoders beside a model file, or elsewhere; files that are not ours are left alone.

Beside the model they are listed in its manifest like the other files of the export. So one that was
changed by hand is noticed, and not overwritten.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from edge_retina.decoders.plan import DecoderPlan
from edge_retina.decoders.render import file_name, head_of, render_decoder
from edge_retina.decoders.table import LANGUAGES
from edge_retina.errors import ExportError, ModelError, choices_hint
from edge_retina.files import load_json, sha256_file, write_json, write_text
from edge_retina.runtime.manifest import MANIFEST_NAME, FileEntry, load_manifest
from edge_retina.schema import to_plain

_HEAD_BYTES = 4096


def check_languages(names: Iterable[str]) -> None:
    """Refuse a language that there is no template for.

    Raises:
        ExportError: names it and the languages that there are.
    """
    for name in names:
        if name not in LANGUAGES:
            raise ExportError(f"decoder language {name!r}: {choices_hint(name, LANGUAGES)}")


def check_targets(directory: Path, model_files: Sequence[str], languages: Sequence[str]) -> None:
    """Refuse to replace a file that is not a decoder of its model, or one that was changed.

    Args:
        directory: that the decoders are to be written into.
        model_files: names of .tflite files.
        languages: of `LANGUAGES`.

    Raises:
        ExportError: names the file.
    """
    makers: dict[str, str] = {}
    listed = _listed(directory)
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
            if _is_changed(directory / name, listed):
                raise ExportError(
                    f"{directory / name}: was changed after it was written (its SHA-256 isn't "
                    f"that in {MANIFEST_NAME}); move it away, or choose another --out"
                )


def write_decoders(
    plan: DecoderPlan, directory: Path, languages: Sequence[str], *, manifest: Path | None = None
) -> list[Path]:
    """Write the decoders of one model file; return their paths in the order of `languages`.

    Args:
        plan: what to fill in.
        directory: is made if it is missing.
        languages: of `LANGUAGES`.
        manifest: of the model; the decoders are listed there if it lies in `directory`.

    Raises:
        ExportError: a file that is not ours, or was changed, is in the way; nothing is written.
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
    if manifest is not None and manifest.parent.resolve() == directory.resolve():
        _list(texts, manifest)
    return list(texts)


def _list(paths: Iterable[Path], manifest: Path) -> None:
    """Put size and hash of some files into a manifest, and leave the rest of it as it is."""
    tree = load_json(manifest)  # not a `Manifest`: a later version may have written more fields
    tree["files"].update({path.name: to_plain(FileEntry.of(path)) for path in paths})
    write_json(manifest, tree)


def _listed(directory: Path) -> Mapping[str, FileEntry]:
    """Return what a directory's manifest says of its files; nothing if there is none of ours."""
    where = directory / MANIFEST_NAME
    if not where.is_file():
        return {}
    try:
        return load_manifest(where).files
    except ModelError:  # such as the manifest.json of a web app, which the decoders are copied to
        return {}


def _is_changed(path: Path, listed: Mapping[str, FileEntry]) -> bool:
    entry = listed.get(path.name)
    return entry is not None and path.is_file() and sha256_file(path) != entry.sha256


def _may_replace(path: Path, model_file: str) -> bool:
    if not path.exists() and not path.is_symlink():
        return True
    if not path.is_file():
        return False
    with open(path, "rb") as stream:
        return head_of(model_file).encode() in stream.read(_HEAD_BYTES)

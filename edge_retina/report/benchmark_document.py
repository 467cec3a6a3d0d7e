"""The JSON document of `benchmark`, read back and looked at from the outside."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any

from edge_retina.benchmark.environment import Environment
from edge_retina.benchmark.results import (
    SCHEMA_VERSION,
    BenchmarkReport,
    BenchmarkResult,
    Comparison,
)
from edge_retina.errors import BenchmarkError
from edge_retina.files import load_json
from edge_retina.schema import Reader

# What the pages can't do without; everything else may be missing in a document of another version
_DOCUMENT = ("environment", "results", "comparisons")
_RESULT = ("model", "precision", "backend", "threads", "size_bytes", "init_ms", "latency_ms")
_COMPARISON = ("model", "backend", "threads", "reference", "ratio", "low", "high", "verdict")
# Fields of a result that the document has as texts
_TEXTS = {"warnings": tuple[str, ...], "warning_codes": tuple[str, ...], "verdict": str}

Result = Mapping[str, Any]
ResultKey = tuple[str, str, int]


def read_benchmark(path: Path) -> dict[str, Any]:
    """Return the document that `edge-retina benchmark --json` wrote.

    Raises:
        BenchmarkError: it can't be read, or it is something else.
    """
    try:
        document = load_json(path)
    except OSError as error:
        reason = error.strerror or error
        raise BenchmarkError(
            f"{path}: can't be read ({reason}); name the file that benchmark --json wrote"
        ) from None
    except ValueError as error:
        raise BenchmarkError(f"{path}: not JSON ({error}); {_EXPECTED}") from None
    _check(document, path)
    return dict(document)


_EXPECTED = "expected the document that benchmark --json writes"
_LARGEST = 1e21  # of any number in it: beyond what a chart can show


def _check(document: Any, path: Path) -> None:
    if not isinstance(document, dict):
        raise BenchmarkError(f"{path}: {type(document).__name__}, not an object; {_EXPECTED}")
    version = document.get("schema_version")
    if version != SCHEMA_VERSION:
        raise BenchmarkError(
            f"{path}: schema_version {version}, not {SCHEMA_VERSION}; {_EXPECTED} of this version"
        )
    missing = [name for name in _DOCUMENT if name not in document]
    if missing:
        raise BenchmarkError(f"{path}: no {', '.join(missing)}; {_EXPECTED}")
    if not document["results"]:
        raise BenchmarkError(f"{path}: it has no results; measure at least one model")
    reader = Reader(str(path), BenchmarkError, remedy=_EXPECTED, ignore_unknown=True)
    for name, cls in (("results", BenchmarkResult), ("comparisons", Comparison)):
        if not isinstance(document[name], list):
            raise reader.fail(f"'{name}' must be a list")
        for number, item in enumerate(document[name]):
            reader.check_present(cls, item, prefix=f"{name}[{number}].", **_TEXTS)
    for name, needed in (("results", _RESULT), ("comparisons", _COMPARISON)):
        for number, item in enumerate(document[name]):
            missing = [key for key in needed if key not in item]
            if missing:
                raise BenchmarkError(f"{path}: {name}[{number}] has no {', '.join(missing)}")
    _check_values(document, path)
    rest = {name: value for name, value in document.items() if name not in _DOCUMENT}
    reader.check_present(BenchmarkReport, rest)
    reader.check_present(Environment, document["environment"], prefix="environment.")


def _check_values(document: dict[str, Any], path: Path) -> None:
    """Refuse what fits its type and can't be shown all the same."""
    for number, item in enumerate(document["results"]):
        texts = item.get("warnings", [])
        if len(item.get("warning_codes", texts)) != len(texts):
            raise BenchmarkError(
                f"{path}: results[{number}] has not as many warning_codes as warnings; {_EXPECTED}"
            )
    data = document.get("data") or {}
    if not isinstance(data, dict) or not isinstance(data.get("path", ""), str):
        raise BenchmarkError(f"{path}: 'data' is {data!r}, not an object with a path; {_EXPECTED}")
    for value in _numbers(document):
        if not abs(value) < _LARGEST:
            raise BenchmarkError(f"{path}: {value!r:.50} is no measurement; {_EXPECTED}")


def _numbers(value: Any) -> Iterator[float]:
    """Yield all numbers in a tree, whose depth `load_json` has bounded."""
    if isinstance(value, (dict, list)):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _numbers(item)
    elif isinstance(value, (int, float)):
        yield value


def result_key(item: Result) -> ResultKey:
    """Return what tells a result or a comparison from the others."""
    return item["model"], item["backend"], item["threads"]


def short_names(models: Sequence[str]) -> dict[str, str]:
    """Return the last part of each model's path, or as many parts as tell it from the others."""
    different = list(dict.fromkeys(models))
    names = {}
    for model in different:
        parts = PurePath(model).parts
        others = [PurePath(other).parts for other in different if other != model]
        for count in range(1, len(parts) + 1):
            if all(other[-count:] != parts[-count:] for other in others):
                break
        names[model] = str(PurePath(*parts[-count:])) if parts else model
    return names


def result_titles(results: Sequence[Result]) -> list[str]:
    """Return what the reader calls each result: model, backend and threads."""
    names = short_names([result["model"] for result in results])
    return [
        f"{names[result['model']]}, {backend_name(result['backend'])}, "
        f"{threads_text(result['threads'])}"
        for result in results
    ]


def backend_name(backend: str) -> str:
    """Return a backend's label without what all those for .tflite files have in common."""
    return backend.removeprefix("tflite-")


def threads_text(count: int) -> str:
    """Write a number of threads."""
    return f"{count} thread" if count == 1 else f"{count} threads"


def middle_ms(result: Result) -> float:
    """Return the median latency; the mean where a device's program tells no median."""
    latency = result["latency_ms"]
    return float(latency["mean"] if latency["p50"] is None else latency["p50"])


def rated(results: Sequence[Result]) -> list[Result]:
    """Return the results whose mAP was measured."""
    return [result for result in results if result.get("mAP") is not None]


def warning_lines(results: Sequence[Result]) -> list[str]:
    """Return each warning once, with the results it concerns unless that is all of them."""
    concerned: dict[str, list[str]] = {}
    for result, title in zip(results, result_titles(results), strict=True):
        for text in result.get("warnings", ()):
            concerned.setdefault(text, []).append(title)
    return [
        text if len(titles) == len(results) else f"{'; '.join(titles)}: {text}"
        for text, titles in concerned.items()
    ]

"""What to know before believing a result, with a code that programs can rely on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

WarningCode = Literal[
    "noisy",
    "busy",
    "oversubscribed",
    "governor",
    "drifting",
    "throttled",
    "load",
    "int8-slower",
    "classes",
    "fallback",
    "mAP-elsewhere",
    "inference-only",
]


@dataclass(frozen=True)
class ResultWarning:
    """A warning about one result.

    Attributes:
        code: its kind; the text may change, the code doesn't.
        text: one sentence for people.
    """

    code: WarningCode
    text: str


def warnings_by_code(results: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    """Group the warnings of results from the JSON of `benchmark`.

    Returns:
        Texts by code, in order of appearance, one for each result that has the warning. Results
        written before there were codes are grouped by the texts themselves.
    """
    texts: dict[str, list[str]] = {}
    for result in results:
        codes = result.get("warning_codes", result["warnings"])
        for code, text in zip(codes, result["warnings"], strict=True):
            texts.setdefault(code, []).append(text)
    return texts

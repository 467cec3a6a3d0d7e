"""What a programming language needs beyond its template."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Language:
    """A language that decoders are written in.

    Attributes:
        title: for people.
        template: its file in `templates/`.
        suffix: of the files that are made.
        string: returns a string literal; any text must be harmless in it.
        types: the language's name of each type of tensor.
        names_file_by_type: the file is called MyModelDecoder, not my_model_decoder.
    """

    title: str
    template: str
    suffix: str
    string: Callable[[str], str]
    types: Mapping[str, str]
    names_file_by_type: bool = False

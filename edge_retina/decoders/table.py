"""The languages that decoders are written in: to add one, a template and an entry here."""

from __future__ import annotations

from edge_retina.decoders.language import Language
from edge_retina.decoders.literals import c_string, python_string, swift_string, utf16_escaped

_NUMBERS = {"float32": "Float", "int8": "Int8", "uint8": "UInt8"}
LANGUAGES = {
    "python": Language(
        "Python", "python.txt", ".py", python_string, {"float32": "f", "int8": "b", "uint8": "B"}
    ),
    "cpp": Language(
        "C++",
        "cpp.txt",
        ".hpp",
        c_string,
        {"float32": "float", "int8": "std::int8_t", "uint8": "std::uint8_t"},
    ),
    "kotlin": Language(
        "Kotlin", "kotlin.txt", ".kt", utf16_escaped, _NUMBERS, names_file_by_type=True
    ),
    "swift": Language(
        "Swift", "swift.txt", ".swift", swift_string, _NUMBERS, names_file_by_type=True
    ),
    "js": Language(
        "JavaScript",
        "js.txt",
        ".mjs",
        utf16_escaped,
        {"float32": "Float32Array", "int8": "Int8Array", "uint8": "Uint8Array"},
    ),
}

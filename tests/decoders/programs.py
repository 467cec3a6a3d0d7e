"""Programs around decoders: each reads outputs of many pictures and prints the detections.

A program is called with the path of a file that has, picture by picture, the bytes of all outputs
in the model's order. For each detection it prints a line: the picture's number, class, score, ymin,
xmin, ymax, xmax. The name of a language's compiler comes from an environment variable, so that a
wrapper can stand for it.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge_retina.decoders.plan import DecoderPlan
from edge_retina.decoders.render import file_name
from edge_retina.decoders.table import LANGUAGES
from edge_retina.decoders.writing import write_decoders
from edge_retina.runtime.detections import Detections

_PYTHON = """
import sys
from model_decoder import OUTPUTS, decode
data = open(sys.argv[1], "rb").read()
sizes = [length * (4 if kind == "f" else 1) for _, kind, length in OUTPUTS]
for start in range(0, len(data), sum(sizes)):
    outputs, at = [], start
    for size in sizes:
        outputs.append(data[at : at + size])
        at += size
    for f in decode(outputs):
        print(start // sum(sizes), f.class_index, f.score, f.ymin, f.xmin, f.ymax, f.xmax)
"""
_JS = """
import {readFileSync} from "node:fs";
import * as decoder from "./model_decoder.mjs";
const types = [@TYPES];
const lengths = [@LENGTHS];
const data = readFileSync(process.argv[2]).buffer;
const lines = [];
for (let at = 0, picture = 0; at < data.byteLength; picture++) {
  const outputs = types.map((type, i) => {
    const bytes = data.slice(at, at += lengths[i] * type.BYTES_PER_ELEMENT);
    return new type(bytes);
  });
  for (const f of decoder.decode(outputs)) {
    lines.push([picture, f.classIndex, f.score, ...f.box].join(" "));
  }
}
console.log(lines.join("\\n"));
"""
_CPP = """
#include "model_decoder.hpp"
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>
template <typename T>
std::vector<T> take(const std::vector<char>& data, std::size_t& at, std::size_t length) {
  std::vector<T> values(length);
  std::memcpy(values.data(), data.data() + at, length * sizeof(T));
  at += length * sizeof(T);
  return values;
}
int main(int, char** arguments) {
  std::ifstream stream(arguments[1], std::ios::binary);
  const std::vector<char> data((std::istreambuf_iterator<char>(stream)), {});
  int picture = 0;
  for (std::size_t at = 0; at < data.size(); ++picture) {
@TAKES
    for (const auto& f : model_decoder::decode({@POINTERS})) {
      std::printf("%d %d %.9g %.9g %.9g %.9g %.9g\\n", picture, f.class_index,
                  static_cast<double>(f.score), static_cast<double>(f.ymin),
                  static_cast<double>(f.xmin), static_cast<double>(f.ymax),
                  static_cast<double>(f.xmax));
    }
  }
}
"""
_KOTLIN = """
import java.io.File
import java.nio.ByteBuffer
import java.nio.ByteOrder

fun main(arguments: Array<String>) {
    val data = File(arguments[0]).readBytes()
    val outputs = ModelDecoder.newBuffers()
    val size = outputs.sumOf { it.capacity() }
    for (picture in 0 until data.size / size) {
        var at = picture * size
        for (buffer in outputs) {
            buffer.clear()
            buffer.put(data, at, buffer.capacity()) // leaves its position at the end
            at += buffer.capacity()
        }
        for (f in ModelDecoder.decode(outputs)) {
            println("$picture ${f.classIndex} ${f.score} ${f.ymin} ${f.xmin} ${f.ymax} ${f.xmax}")
        }
    }
}
"""
_SWIFT = """
import Foundation

let data = try Data(contentsOf: URL(fileURLWithPath: CommandLine.arguments[1]))
let sizes = [@BYTES]
var at = 0
var picture = 0
while at < data.count {
  let outputs: [Data] = sizes.map { size in
    defer { at += size }
    return data[at..<at + size]  // a slice, whose indices don't begin at 0
  }
  for f in try ModelDecoder.decode(outputs) {
    print(picture, f.classIndex, f.score, f.ymin, f.xmin, f.ymax, f.xmax)
  }
  picture += 1
}
"""


@dataclass(frozen=True)
class Toolchain:
    """How a language's program is built and run.

    Attributes:
        tool: the program that must be there.
        variable: of the environment; names another command for it.
        checks: arguments that make the tool check the decoder alone, strictly; () for none.
        builds: arguments that build `program`; () for a language without a compiler.
        runs: the command that runs it.
    """

    tool: str
    variable: str
    checks: tuple[str, ...]
    builds: tuple[str, ...]
    runs: tuple[str, ...]


_GXX = ("-std=c++17", "-Wall", "-Wextra", "-Werror", "-pedantic", "-Wshadow", "-Wconversion")
TOOLCHAINS = {
    "python": Toolchain(
        sys.executable, "", ("-W", "error", "DECODER"), (), ("TOOL", "-W", "error", "main.py")
    ),
    "cpp": Toolchain(
        "g++",
        "EDGE_RETINA_CXX",
        (*_GXX, "-x", "c++", "-fsyntax-only", "DECODER"),
        (*_GXX, "-O2", "main.cpp", "-o", "program"),
        ("./program",),
    ),
    "js": Toolchain("node", "EDGE_RETINA_NODE", ("--check", "DECODER"), (), ("TOOL", "main.mjs")),
    "kotlin": Toolchain(
        "kotlinc",
        "EDGE_RETINA_KOTLINC",
        (),
        ("-Werror", "-Wextra", "DECODER", "main.kt", "-include-runtime", "-d", "program.jar"),
        ("java", "-jar", "program.jar"),
    ),
    "swift": Toolchain(
        "swiftc",
        "EDGE_RETINA_SWIFTC",
        (),
        (
            "-warnings-as-errors",
            "-O",
            "-swift-version",
            "6",
            "DECODER",
            "main.swift",
            "-o",
            "program",
        ),
        ("./program",),
    ),
}
_MAINS = {
    "python": ("main.py", _PYTHON),
    "js": ("main.mjs", _JS),
    "cpp": ("main.cpp", _CPP),
    "kotlin": ("main.kt", _KOTLIN),
    "swift": ("main.swift", _SWIFT),
}


def command_of(language: str) -> list[str] | None:
    """Return the command of a language's tool; None if it is not on this machine."""
    toolchain = TOOLCHAINS[language]
    given = shlex.split(os.environ.get(toolchain.variable, "")) or [toolchain.tool]
    return given if shutil.which(given[0]) else None


def run_decoder(
    language: str, plan: DecoderPlan, pictures: Sequence[Sequence[np.ndarray]], directory: Path
) -> list[Detections]:
    """Write a decoder, check and build it without warnings, and return what it finds.

    Args:
        language: of `TOOLCHAINS`.
        plan: of a file called model.tflite.
        pictures: the outputs of each, in the file's order.
        directory: for the files; an empty one.

    Raises:
        subprocess.CalledProcessError: it doesn't build, or fails; what it said is in `stderr`.
        LookupError: the tool is not on this machine.
    """
    tool = command_of(language)
    if tool is None:
        raise LookupError(TOOLCHAINS[language].tool)
    write_decoders(plan, directory, [language])
    name, main = _MAINS[language]
    (directory / name).write_text(_fill(main, plan, language))
    inputs = directory / "outputs.bin"
    with open(inputs, "wb") as stream:
        for outputs in pictures:
            for tensor, output in zip(plan.outputs, outputs, strict=True):
                stream.write(np.ascontiguousarray(output, dtype=tensor.dtype).tobytes())
    toolchain = TOOLCHAINS[language]
    decoder = file_name(plan.model_file, LANGUAGES[language])
    for arguments in (toolchain.checks, toolchain.builds):
        if arguments:
            _run([*tool, *(decoder if x == "DECODER" else x for x in arguments)], directory)
    runs = [part for x in toolchain.runs for part in (tool if x == "TOOL" else [x])]
    return _parse(_run([*runs, inputs.name], directory), len(pictures))


def _fill(main: str, plan: DecoderPlan, language: str) -> str:
    types = LANGUAGES[language].types
    lengths = [int(np.prod(output.shape)) for output in plan.outputs]
    widths = [np.dtype(output.dtype).itemsize for output in plan.outputs]
    takes = (
        f"    const auto v{i} = take<{types[output.dtype]}>(data, at, {length});\n"
        for i, (output, length) in enumerate(zip(plan.outputs, lengths, strict=True))
    )
    values = {
        "TYPES": ", ".join(types[output.dtype] for output in plan.outputs),
        "LENGTHS": ", ".join(map(str, lengths)),
        "BYTES": ", ".join(str(a * b) for a, b in zip(lengths, widths, strict=True)),
        "TAKES": "".join(takes),
        "POINTERS": ", ".join(f"v{i}.data()" for i in range(len(lengths))),
    }
    for name, value in values.items():
        main = main.replace(f"@{name}", value)
    return main


def _run(command: list[str], directory: Path) -> str:
    result = subprocess.run(
        command, cwd=directory, capture_output=True, text=True, check=True, timeout=600
    )
    return result.stdout


def _parse(text: str, pictures: int) -> list[Detections]:
    found: list[list[list[float]]] = [[] for _ in range(pictures)]
    for line in filter(None, text.splitlines()):
        number, *values = map(float, line.split())
        found[int(number)].append(values)
    tables = [np.array(rows, np.float64).reshape(-1, 6) for rows in found]
    return [
        Detections(
            boxes_norm=table[:, 2:].astype(np.float32),
            classes=table[:, 0].astype(np.int32),
            scores=table[:, 1].astype(np.float32),
        )
        for table in tables
    ]

"""A decoder says when it is given another model, or other outputs."""

from __future__ import annotations

import hashlib
import importlib.util
import subprocess
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from edge_retina.decoders.writing import write_decoders
from tests.decoders.programs import TOOLCHAINS, command_of
from tests.decoders.synthetic import NAME, Kind, hostile_cases, layout_of, plan_of

# Lengths around a block of SHA-256, whose last one has the length in it
CONTENTS = [b"x" * length for length in (0, 1, 55, 56, 63, 64, 65, 1000)]
LAYOUT = layout_of(Kind("flat", "int8", "logits"))
PLAN = plan_of(LAYOUT)


def tool(language: str) -> list[str]:
    command = command_of(language)
    if command is None:
        pytest.skip(f"no {TOOLCHAINS[language].tool} on this machine to run the decoder with")
    return command


def load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("model_decoder", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("content", CONTENTS, ids=map(len, CONTENTS))
def test_python_knows_its_model(content: bytes, tmp_path: Path) -> None:
    plan = replace(PLAN, sha256=hashlib.sha256(content).hexdigest())
    (path,) = write_decoders(plan, tmp_path, ["python"])
    (tmp_path / NAME).write_bytes(content)
    assert load(path).is_model(tmp_path / NAME)
    (tmp_path / NAME).write_bytes(content + b"y")
    assert not load(path).is_model(tmp_path / NAME)


def test_python_refuses_other_outputs(tmp_path: Path) -> None:
    (path,) = write_decoders(PLAN, tmp_path, ["python"])
    decode = load(path).decode
    codes, logits = hostile_cases(LAYOUT, 0)["random 0"]
    assert decode([codes, logits])
    with pytest.raises(ValueError, match=r"^expected 2 outputs, got 1$"):
        decode([codes])
    message = r"^output 1 \(logits\) must have 336 values of type 'b', not 335 of type 'b'$"
    with pytest.raises(ValueError, match=message):
        decode([codes, logits.reshape(-1)[1:]])
    with pytest.raises(ValueError, match="not 448 of type 'f'"):
        decode([codes.astype(np.float32), logits])


def test_python_gives_pixels(tmp_path: Path) -> None:
    (path,) = write_decoders(PLAN, tmp_path, ["python"])
    outputs = hostile_cases(LAYOUT, 0)["random 0"]
    module = load(path)
    fractions, pixels = module.decode(outputs), module.decode(outputs, 200, 300)
    assert len(fractions) == len(pixels) > 0
    for one, other in zip(fractions, pixels, strict=True):
        assert other[:4] == pytest.approx(np.array(one[:4]) * [200, 300, 200, 300])
        assert (other.label, other.score) == (one.label, one.score)


def test_javascript_knows_its_model_and_its_outputs(tmp_path: Path) -> None:
    node = tool("js")
    plan = replace(PLAN, sha256=hashlib.sha256(CONTENTS[-1]).hexdigest())
    write_decoders(plan, tmp_path, ["js"])
    (tmp_path / NAME).write_bytes(CONTENTS[-1])
    (tmp_path / "main.mjs").write_text(
        """
import {readFileSync} from "node:fs";
import {decode, isModel} from "./model_decoder.mjs";
const content = readFileSync("model.tflite");
console.log(await isModel(content), await isModel(content.subarray(1)));
for (const outputs of [[], [new Int8Array(448), new Float32Array(336)]]) {
  try {
    decode(outputs);
  } catch (error) {
    console.log(error.name, error.message);
  }
}
console.log(decode([new Int8Array(448), new Int8Array(336).fill(-128)]).length);
"""
    )
    result = subprocess.run(
        [*node, "main.mjs"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert result.stdout.splitlines() == [
        "true false",
        "TypeError expected 2 outputs, got 0",
        "TypeError output 1 (logits) must be of type Int8Array with 336 values",
        "0",
    ]


def test_cpp_knows_its_model_and_two_decoders_fit_into_a_program(tmp_path: Path) -> None:
    compiler = tool("cpp")
    other = replace(plan_of(layout_of(Kind("levels", "float32", "logits"))), model_file="o.tflite")
    write_decoders(PLAN, tmp_path, ["cpp"])
    write_decoders(other, tmp_path, ["cpp"])
    digests = [hashlib.sha256(content).hexdigest() for content in CONTENTS]
    # The digest is a constant; so that one program can try many, it is made to vary
    header = tmp_path / "model_decoder.hpp"
    text = header.read_text()
    constant = "inline constexpr const char* kModelSha256 =\n    "
    assert text.count(constant) == 1
    header.write_text(text.replace(constant, "inline const char* kModelSha256 =\n    "))
    lengths = ", ".join(str(len(content)) for content in CONTENTS)
    (tmp_path / "main.cpp").write_text(
        f"""
#include "model_decoder.hpp"
#include "o_decoder.hpp"
#include <cstdio>
int main() {{
  const char* digests[] = {{{", ".join(f'"{digest}"' for digest in digests)}}};
  const std::size_t lengths[] = {{{lengths}}};
  const std::vector<std::uint8_t> content(1001, 'x');
  for (std::size_t i = 0; i < {len(CONTENTS)}; ++i) {{
    model_decoder::kModelSha256 = digests[i];
    std::printf("%d%d ", model_decoder::is_model(content.data(), lengths[i]),
                model_decoder::is_model(content.data(), lengths[i] + 1));
  }}
  std::printf("%d", o_decoder::is_model(content.data(), 1));
}}
"""
    )
    command = [*compiler, "-std=c++17", "-Wall", "-Wextra", "-Werror", "main.cpp", "-o", "program"]
    subprocess.run(command, cwd=tmp_path, check=True)
    result = subprocess.run([tmp_path / "program"], capture_output=True, text=True, check=True)
    assert result.stdout == "10 " * len(CONTENTS) + "0"

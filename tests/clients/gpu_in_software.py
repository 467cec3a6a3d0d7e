"""Run exported files on a GPU in software, and compare with the CPU: which operators does it take?

Run: `python -m tests.clients.gpu_in_software CPU_EXPORT GPU_EXPORT --pictures DIR 3 --json FILE
--doc docs/clients.md`. SwiftShader comes with Chromium and offers Vulkan and WebGPU. Times mean
nothing here.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from edge_retina.files import sha256_file, write_json, write_text
from edge_retina.report.markdown import markdown_table
from edge_retina.runtime.detector import TFLiteDetector
from tests.clients.client import HERE
from tests.clients.comparison import compare
from tests.clients.environments import ROOT, web_directory
from tests.clients.pictures import gather, stretched

BEGIN, END = "<!-- gpu: begin -->", "<!-- gpu: end -->"
SWIFTSHADER = Path("/usr/lib/chromium/vk_swiftshader_icd.json")
SPLIT = re.compile(r"(\d+) operations will run on the GPU, and the remaining (\d+) operations")
REFUSED = re.compile(r"Some ops are not accelerated\.|No adapters found|is not defined")
TIMEOUT_S = 1800
# Client, file and what it is asked for. The CPU alone is what the others are compared with.
RUNS = (
    ("LiteRT CompiledModel", "NMS inside, float32", "gpu"),
    ("LiteRT CompiledModel", "NMS inside, float32", "gpu+cpu"),
    ("LiteRT CompiledModel", "NMS inside, int8", "gpu+cpu"),
    ("LiteRT CompiledModel", "target gpu", "gpu"),
    ("LiteRT.js", "NMS inside, float32", "webgpu"),
    ("LiteRT.js", "NMS inside, int8", "webgpu"),
)


def main() -> None:
    """Run everything, write the JSON and the table."""
    args = _arguments()
    files = {
        "NMS inside, float32": _only(args.cpu_export, "*_float32.tflite"),
        "NMS inside, int8": _only(args.cpu_export, "*_int8.tflite"),
        "target gpu": _only(args.gpu_export, "*_gpu_*.tflite"),
    }
    rows = []
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        gather([(Path(args.pictures[0]), int(args.pictures[1]))], work / "original")
        sizes = TFLiteDetector(files["target gpu"]).input_hw
        stretched(work / "original", work / "pictures", sizes)
        on_cpu = {
            kind: _run("LiteRT CompiledModel", path, "cpu", work) for kind, path in files.items()
        }
        for client, kind, accelerator in RUNS:
            found = _run(client, files[kind], accelerator, work)
            rows.append(_row(client, kind, accelerator, found, on_cpu[kind]))
            print(rows[-1], flush=True)
    document = {
        "schema_version": 1,
        "gpu": "SwiftShader",
        "chromium": _chromium_version(),
        "files": {kind: sha256_file(path) for kind, path in files.items()},
        "rows": rows,
    }
    write_json(args.json, document)
    if args.doc:
        head, _, rest = args.doc.read_text(encoding="utf-8").partition(BEGIN)
        _, end, tail = rest.partition(END)
        if not end:
            raise SystemExit(f"{args.doc}: the marks {BEGIN} and {END} are missing")
        write_text(args.doc, f"{head}{BEGIN}\n{table(document)}{END}{tail}")


def table(document: Mapping[str, Any]) -> str:
    """Return the Markdown table of a document."""
    head = ("client", "file", "asked for", "operators on the GPU", "detections equal the CPU's")
    return markdown_table(
        head,
        [
            (
                f"{row['client']} {row['version']}".strip(),
                row["file"],
                row["accelerator"],
                row["operators"],
                _same(row),
            )
            for row in document["rows"]
        ],
    )


def _same(row: Mapping[str, Any]) -> str:
    if row["error"]:
        return f"none: `{row['error']}`"
    found = row["agreement"]
    text = f"{found['agreed']} of {found['rows']}"
    if found["agreed"] == found["rows"]:
        return text
    return f"{text} ({found['same']} with IoU ≥ 0.75)"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cpu_export", type=Path, help="an export directory")
    parser.add_argument("gpu_export", type=Path, help="an export with --target gpu")
    parser.add_argument("--pictures", nargs=2, required=True, metavar=("DIR", "COUNT"))
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--doc", type=Path, help="a Markdown file whose table is replaced")
    return parser.parse_args()


def _only(directory: Path, pattern: str) -> Path:
    found = [path for path in sorted(directory.glob(pattern)) if "_raw_" not in path.name]
    if len(found) != 1:
        raise SystemExit(f"{directory}: {len(found)} files {pattern}, expected one")
    return found[0].resolve()


def _run(client: str, model: Path, accelerator: str, work: Path) -> dict[str, Any]:
    """Run one client on the pictures; return its result, what it printed, and whether it failed."""
    out = work / "found.json"
    out.unlink(missing_ok=True)
    script = "with_web.mjs" if client == "LiteRT.js" else "with_compiled_model.py"
    program = "node" if client == "LiteRT.js" else sys.executable
    call = [program, str(HERE / script), str(model), str(work / "pictures"), str(out)]
    call += ["litert-webgpu"] if client == "LiteRT.js" else []
    call += [accelerator] if accelerator in ("gpu", "gpu+cpu") else []
    done = subprocess.run(
        call,
        cwd=web_directory() if client == "LiteRT.js" else ROOT,
        env={**os.environ, "VK_ICD_FILENAMES": str(SWIFTSHADER)},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
    )
    printed = done.stdout + done.stderr
    found: dict[str, Any] = {"version": "", "pictures": {}}
    if not done.returncode:
        found = json.loads(out.read_text())
    return {**found, "printed": printed, "failed": bool(done.returncode)}


def _row(
    client: str,
    kind: str,
    accelerator: str,
    found: Mapping[str, Any],
    on_cpu: Mapping[str, Any],
) -> dict[str, Any]:
    split = SPLIT.search(found["printed"])
    row = {
        "client": client,
        "version": found["version"] or on_cpu["version"],
        "file": kind,
        "accelerator": accelerator,
        "operators": f"{split[1]} of {int(split[1]) + int(split[2])}" if split else "all",
        "error": "",
        "agreement": None,
    }
    if found["failed"]:
        lines = [line for line in found["printed"].splitlines() if REFUSED.search(line)]
        last = found["printed"].strip().splitlines()[-1]
        return {**row, "error": (lines[0] if lines else last).strip("└ ")}
    return {**row, "agreement": asdict(compare(on_cpu["pictures"], found["pictures"]))}


def _chromium_version() -> str:
    done = subprocess.run(["chromium", "--version"], capture_output=True, text=True)
    return done.stdout.strip()


if __name__ == "__main__":
    main()

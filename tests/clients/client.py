"""The clients, and how one is run: a script of this directory in an environment of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_retina.runtime.manifest import MANIFEST_NAME, load_manifest
from tests.clients.environments import ROOT, environment_python, web_directory

HERE = Path(__file__).resolve().parent
_TIMEOUT_S = 600


class ClientError(Exception):
    """A client that did not do what it was asked, with the last line of its complaint."""


@dataclass(frozen=True)
class Client:
    """One way to load the file.

    Attributes:
        name: for people.
        script: in this directory.
        environment: in requirements/; "" for the package's own.
        options: of the script.
        resizes: it brings the picture to the network's size in its own way.
        whole_pixels: it cuts boxes to whole pixels.
        int8_backend: of `edge-retina predict`, whose int8 kernels are the nearest to the client's.
        target: of `edge-retina export`, whose file it takes; "" for the files with NMS inside.
        compiles_only: it compiles the file for a processor that is not here.
    """

    name: str
    script: str
    environment: str = ""
    options: tuple[str, ...] = ()
    resizes: bool = False
    whole_pixels: bool = False
    int8_backend: str = "xnnpack"
    target: str = ""
    compiles_only: bool = False

    def takes(self, model: Path) -> bool:
        """Whether the file is one for this client."""
        return self.target == target_of(model)

    @property
    def is_web(self) -> bool:
        """Whether it runs in a browser."""
        return self.script.endswith(".mjs")

    def backend(self, model: Path) -> str:
        """Return the backend to compare with; float kernels differ by rounding alone."""
        return self.int8_backend if model.stem.endswith("int8") else "xnnpack"


def target_of(model: Path) -> str:
    """Return the target that a file was exported for; "" if NMS is inside or nothing tells."""
    if not (model.parent / MANIFEST_NAME).is_file():
        return ""
    layout = load_manifest(model.parent).layouts.get(model.name)
    return layout.target if layout else ""


def _task(name: str, script: str, environment: str, *options: str) -> Client:
    return Client(name, script, environment, options, resizes=True, whole_pixels=True)


CLIENTS = (
    Client("LiteRT Interpreter", "with_interpreter.py", options=("ai_edge_litert",)),
    Client("LiteRT CompiledModel", "with_compiled_model.py"),
    Client("TensorFlow tf.lite.Interpreter", "with_interpreter.py", options=("tensorflow",)),
    Client(
        "tflite-runtime",
        "with_interpreter.py",
        "tflite-runtime-2.14",
        ("tflite_runtime",),
        int8_backend="builtin",  # it gives no int8 operator to XNNPACK
    ),
    _task("MediaPipe Tasks, image", "with_mediapipe.py", "mediapipe-1.2.2", "image"),
    _task("MediaPipe Tasks, video", "with_mediapipe.py", "mediapipe-1.2.2", "video"),
    _task("MediaPipe Tasks 0.10, image", "with_mediapipe.py", "mediapipe-0.10.21", "image"),
    _task("MediaPipe Tasks 0.10, video", "with_mediapipe.py", "mediapipe-0.10.21", "video"),
    _task("Task Library (tflite-support)", "with_task_library.py", "tflite-support-0.4.4"),
    _task("MediaPipe Tasks for the web", "with_web.mjs", "web", "mediapipe"),
    Client("LiteRT.js", "with_web.mjs", "web", ("litert",), resizes=True),
    Client(
        "TensorFlow Lite Micro",
        "with_tflite_micro.py",
        "compilers",
        int8_backend="builtin",
        target="micro",
    ),
    Client(
        "Vela for Ethos-U55-128, compiled only",
        "with_vela.py",
        "compilers",
        ("ethos-u55-128",),
        target="ethos-u",
        compiles_only=True,
    ),
)


def run_client(client: Client, model: Path, pictures: Path, work: Path) -> dict[str, Any]:
    """Run a client's script; return what it wrote, see protocol.py.

    Raises:
        NoEnvironmentError: the client can't be installed here.
        ClientError: it failed.
    """
    out = work / "found.json"
    out.unlink(missing_ok=True)
    call = [_program(client), *_arguments(client, model.resolve(), pictures.resolve(), out)]
    directory = web_directory() if client.is_web else ROOT
    try:
        done = subprocess.run(
            call, cwd=directory, capture_output=True, text=True, timeout=_TIMEOUT_S
        )
    except subprocess.TimeoutExpired:
        raise ClientError(f"took more than {_TIMEOUT_S} s") from None
    if done.returncode:
        raise ClientError((done.stderr.strip().splitlines() or ["no message"])[-1])
    result: dict[str, Any] = json.loads(out.read_text())
    return result


def written_command(client: Client, model: Path) -> str:
    """Return the call for people, with paths from the repository on: no machine's are in it."""
    program = Path(_program(client))
    name = program.relative_to(ROOT) if program.is_relative_to(ROOT) else program.name
    script, *others = _arguments(client, Path(model.name), Path("PICTURES"), Path("OUT"))
    return " ".join([str(name), str(Path(script).relative_to(ROOT)), *others])


def _program(client: Client) -> str:
    """Return what runs the client's script.

    Raises:
        NoEnvironmentError: the client can't be installed here.
    """
    if client.is_web:
        return "node"
    return str(environment_python(client.environment)) if client.environment else sys.executable


def _arguments(client: Client, model: Path, pictures: Path, out: Path) -> list[str]:
    return [str(x) for x in (HERE / client.script, model, pictures, out, *client.options)]

"""The other end of `--device ssh:...`: keeps files, starts workers, and cleans up after itself.

Its source text travels to the device and runs in whatever Python is there. So it needs the standard
library only, imports nothing of this package, and keeps to the syntax of Python 3.6, to be able to
say that a Python is too old.

A request is one line of JSON on standard input, for "put" followed by the file's bytes; each gets
one line of JSON on standard output before the next is sent. When the input ends, for whatever
reason, a running worker is stopped and the directory with everything that was brought is removed.
"""

import errno
import hashlib
import importlib.util
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from typing import IO, Any, BinaryIO, TextIO, cast

GREETING = "edge-retina agent"  # a login shell may print before it
NEEDED = ("numpy", "cv2", "ai_edge_litert")  # modules that a worker imports
IDLE_S = 1800  # without a request for so long, the other side is gone without a word
CHUNK = 1 << 20


def directories() -> "list[str]":
    """Return where files may be kept, the best first: /tmp is often memory on small devices."""
    wanted = ["/var/tmp", tempfile.gettempdir(), os.path.expanduser("~")]
    usable = [path for path in wanted if os.path.isdir(path) and os.access(path, os.W_OK)]
    return sorted(usable, key=lambda path: -shutil.disk_usage(path).free)


def put(stream: BinaryIO, root: str, request: "dict[str, Any]") -> "dict[str, str]":
    """Keep a file, and refuse one that is not what was sent."""
    path = os.path.join(root, request["path"])
    digest = hashlib.sha256()
    chunks = received(stream, request["bytes"])
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as target:
            for chunk in chunks:
                digest.update(chunk)
                target.write(chunk)
    except OSError as error:
        for _ in chunks:  # the next request comes behind them
            pass
        return {"error": describe(error)}
    if digest.hexdigest() != request["sha256"]:
        return {"error": "what arrived has another SHA-256"}
    return {}


def received(stream: BinaryIO, left: int) -> "Iterator[bytes]":
    """Yield the bytes that follow a request."""
    while left:
        chunk = stream.read(min(left, CHUNK))
        if not chunk:
            raise EOFError
        left -= len(chunk)
        yield chunk


def describe(error: OSError) -> str:
    """Return the reason of an OSError."""
    if error.errno == errno.ENOSPC:
        return "no room left"
    return error.strerror or str(error)


def run(root: str, request: "dict[str, Any]") -> "dict[str, Any]":
    """Start a Python program that was brought, and return what it wrote."""
    task = os.path.join(root, "task.json")
    with open(task, "w", encoding="utf-8") as stream:
        stream.write(request["input"])
    environment = dict(os.environ)
    environment.update(request["environment"])
    with open(task, "rb") as stream:
        child = subprocess.Popen(
            [sys.executable, os.path.join(root, request["program"])],
            stdin=stream,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            cwd=root,
        )
    try:
        parts = collect(child)
    except BaseException:
        child.kill()
        child.wait()
        raise
    texts = [b"".join(part).decode("utf-8", "replace") for part in parts]
    return {"returncode": child.wait(), "stdout": texts[0], "stderr": texts[1]}


def collect(child: "subprocess.Popen[bytes]") -> "list[list[bytes]]":
    """Read both outputs of a program to their ends; the end of our own input ends it all."""
    pipes = [cast("IO[bytes]", child.stdout), cast("IO[bytes]", child.stderr)]
    parts = {pipe.fileno(): [] for pipe in pipes}  # type: dict[int, list[bytes]]
    pending = list(parts)
    own_input = sys.stdin.fileno()
    while pending:
        ready = select.select([own_input, *pending], [], [])[0]
        if own_input in ready:  # nothing is sent before the answer: this is the end
            raise EOFError
        for number in ready:
            parts[number].append(os.read(number, CHUNK))
            if not parts[number][-1]:
                pending.remove(number)
    return list(parts.values())


def serve(root: str, out: TextIO) -> None:
    """Answer requests until there are no more."""
    stream = sys.stdin.buffer
    while select.select([sys.stdin], [], [], IDLE_S)[0]:
        line = stream.readline()
        if not line:
            return
        request = json.loads(line.decode("utf-8"))
        if request["do"] == "put":
            answer = put(stream, root, request)  # type: dict[str, Any]
        elif request["do"] == "room":
            answer = {"free": shutil.disk_usage(root).free}
        else:
            answer = run(root, request)
        out.write(json.dumps(answer) + "\n")
        out.flush()


def stop(number: int, frame: Any) -> None:
    """Leave by the way of an exception, so that the directory is removed."""
    raise SystemExit(128 + number)


def main() -> None:
    """Say what there is, then serve."""
    for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    places = directories()
    if not places:
        out.write(GREETING + "\n" + json.dumps({"error": "no directory to write to"}) + "\n")
        out.flush()
        return
    root = tempfile.mkdtemp(prefix="edge-retina-", dir=places[0])
    try:
        missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
        greeting = {
            "python": list(sys.version_info[:3]),
            "executable": sys.executable,
            "missing": missing,
            "root": root,
        }
        out.write(GREETING + "\n" + json.dumps(greeting) + "\n")
        out.flush()
        serve(root, out)
    except (EOFError, BrokenPipeError):
        pass  # the other side is gone; nobody is left to tell
    finally:
        shutil.rmtree(root, ignore_errors=True)


if __name__ == "__main__":
    main()

"""Arm's Vela compiles the file for an Ethos-U NPU; there is none here to run it.

Called as `with_vela.py MODEL PICTURES OUT ACCELERATOR`; the pictures are not used.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from importlib.metadata import version

from protocol import arguments

COUNTED = re.compile(r"^(CPU|NPU) operators = (\d+)", re.MULTILINE)


def main() -> None:
    args = arguments("accelerator")
    with tempfile.TemporaryDirectory() as directory:
        call = [sys.executable, "-m", "ethosu.vela", "--accelerator-config", args.accelerator]
        call += ["--output-dir", directory, str(args.model)]
        done = subprocess.run(call, capture_output=True, text=True, cwd=directory)
    if done.returncode:
        sys.exit((done.stderr or done.stdout).strip().splitlines()[-1])
    operators = {kind: int(count) for kind, count in COUNTED.findall(done.stdout)}
    args.out.write_text(
        json.dumps({"version": version("ethos-u-vela"), "pictures": {}, "operators": operators})
    )


if __name__ == "__main__":
    main()

"""Do the container images build, how large are they, and does what is inside work?

    python benchmarks/image.py --base debootstrap --json benchmarks/results/image.json

Builds the stages of the Dockerfile with buildah, which needs no daemon, in a chroot: as root, on
Debian. `--base` is an image, such as python:3.11-slim-bookworm, or `debootstrap`: where no registry
of images is in reach, the base is made of Debian's packages and Debian's Python. Then the image's
user runs the program in a container.

The images and their layers stay below --work. Resumable: layers that are there are used again, and
an image that is in the JSON is measured again only if it is named by `--only`.
"""

from __future__ import annotations

import json
import platform
import re
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import click

from edge_retina.files import write_json

ROOT = Path(__file__).resolve().parent.parent
DEBIAN = "bookworm"
PACKAGES = "ca-certificates,python3,python3-venv"
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
LOCAL_BASE = f"localhost/python-{DEBIAN}"
# The shortest demo: it shows that every stage works, and finds next to nothing.
DEMO = (
    *("demo", "--out", "/tmp/demo"),
    *("--set", "model.image_size=64", "--set", "train.steps=40", "--set", "train.batch_size=8"),
    *("--set", "train.warmup_steps=5", "--set", "train.eval_every_epochs=9"),
    *("--set", "quantize.steps=4"),
)
MODEL = "/tmp/tiny_uint8.tflite"
# What the image's user does: the arguments of edge-retina, and a text that must be in the answer.
SMOKE = {
    "device": (
        (("--version",), "edge-retina, version"),
        (("inspect", MODEL), "serving_default_image:0"),
        (("demo", "--out", "/tmp/demo"), 'pip install "edge-retina[train]"'),
    ),
    "train": ((("--version",), "edge-retina, version"), (DEMO, "int8")),
}


class Buildah:
    """buildah with a storage of its own."""

    def __init__(self, work: Path) -> None:
        storage = ("--root", work / "store", "--runroot", work / "run", "--storage-driver", "vfs")
        self._start = ("buildah", *map(str, storage))

    def __call__(self, *arguments: str | Path, check: bool = True) -> str:
        """Return what a command of buildah prints, errors included."""
        call = [*self._start, *map(str, arguments)]
        done = subprocess.run(call, cwd=ROOT, stdout=-1, stderr=subprocess.STDOUT, text=True)
        if check and done.returncode:
            last = "\n".join(done.stdout.strip().splitlines()[-5:])
            raise click.ClickException(
                f"buildah {arguments[0]} ended with {done.returncode}: {last}"
            )
        return done.stdout

    def has(self, image: str) -> bool:
        """Return whether an image is in the storage."""
        return bool(self("images", "--quiet", image, check=False).strip().isalnum())

    def inspect(self, image: str) -> dict[str, Any]:
        """Return the configuration of an image."""
        return dict(json.loads(self("inspect", "--type", "image", image)))

    def size_mb(self, image: str) -> float:
        """Return the size of an image with its base, unpacked."""
        (found,) = json.loads(self("images", "--json", image))
        number, unit = re.fullmatch(r"([0-9.]+) ?([KMG]?B)", found["size"]).groups()  # type: ignore[union-attr]
        return float(number) * {"KB": 1e-3, "MB": 1.0, "GB": 1e3}[unit]


def make_base(buildah: Buildah, work: Path) -> None:
    """Make an image of Debian's smallest system with Python, unless it is there."""
    if buildah.has(LOCAL_BASE):
        return
    system = work / "rootfs"
    if not (system / "usr/bin/python3").exists():
        call = ["debootstrap", "--variant=minbase", f"--include={PACKAGES}", DEBIAN, str(system)]
        subprocess.run(call, check=True, stdout=subprocess.DEVNULL)
        shutil.rmtree(system / "var/cache/apt/archives")
    # The machine's own certificates: behind a proxy, pip in the image needs them too.
    shutil.copy(CERTIFICATES, system / CERTIFICATES.relative_to("/"))
    (system / "usr/bin/python").unlink(missing_ok=True)
    (system / "usr/bin/python").symlink_to("python3")
    container = buildah("from", "scratch").strip()
    buildah("add", "--quiet", container, system, "/")
    buildah("commit", "--quiet", "--rm", container, LOCAL_BASE)


def build(buildah: Buildah, stage: str, base: str) -> dict[str, Any]:
    """Build a stage of the Dockerfile, and return its size and what its log says."""
    tag = f"localhost/edge-retina:{stage}"
    started = time.perf_counter()
    arguments = ("--build-arg", f"BASE={base}", "--target", stage, "--tag", tag)
    # docker: the format of Open Containers has no health check.
    log = buildah("bud", "--isolation", "chroot", "--format", "docker", "--layers", *arguments, ".")
    seconds = time.perf_counter() - started
    about = buildah.inspect(tag)["Docker"]["config"]
    return {
        "mb": buildah.size_mb(tag),
        "base_mb": buildah.size_mb(base),
        "build_seconds": round(seconds, 1),
        "layers_used_again": log.count("Using cache"),
        "user": about["User"],
        "entrypoint": about["Entrypoint"],
        "healthcheck": about["Healthcheck"]["Test"],
        "steps": re.findall(r"^\[\d+/\d+\] STEP \d+/\d+: (.*)$", log, re.MULTILINE),
        "warnings": re.findall(r"(?im)^.*\b(?:warn(?:ing)?|error)\b.*$", log),
    }


def smoke(buildah: Buildah, stage: str) -> list[dict[str, Any]]:
    """Run the program in a container of the image, as the image's user."""
    container = buildah("from", f"localhost/edge-retina:{stage}").strip()
    rows = []
    try:
        model = ROOT / "tests/golden/tiny_uint8.tflite"
        buildah("copy", "--quiet", container, model, MODEL)
        for arguments, expected in SMOKE[stage]:
            started = time.perf_counter()
            run = ("run", "--isolation", "chroot", container, "--", "edge-retina", *arguments)
            answer = buildah(*run, check=False)
            row = {
                "command": " ".join(("edge-retina", *arguments)),
                "result": "passed" if expected in answer else f"failed: {answer[-300:]}",
                "seconds": round(time.perf_counter() - started, 1),
            }
            click.echo(f"{stage}: {row}")
            rows.append(row)
        who = ("run", "--isolation", "chroot", container, "--", "python3", "-c")
        code = "import os, shutil; print(os.getuid(), os.access('/opt/edge-retina', os.W_OK))"
        user, writable = buildah(*who, code).split()
        passed = user != "0" and writable == "False"
        rows.append(
            {
                "command": "user id, and whether it can change the installation",
                "result": f"{'passed' if passed else 'failed'}: {user}, {writable}",
                "seconds": None,
            }
        )
    finally:
        buildah("rm", container)
    return rows


@click.command()
@click.option("--base", default="debootstrap", show_default=True)
@click.option("--only", multiple=True, type=click.Choice(list(SMOKE)), help="Default: all stages.")
@click.option("--work", type=click.Path(path_type=Path), default=ROOT / "build" / "image")
@click.option("--json", "target", type=click.Path(path_type=Path))
def main(base: str, only: tuple[str, ...], work: Path, target: Path | None) -> None:
    """Build, measure, try; exit code 1 if something failed."""
    work.mkdir(parents=True, exist_ok=True)
    buildah = Buildah(work.resolve())
    document: dict[str, Any] = {"schema_version": 1, "rows": [], "details": {}}
    if target is not None and target.is_file():
        document = json.loads(target.read_text(encoding="utf-8"))
    if base == "debootstrap":
        make_base(buildah, work)
        base = LOCAL_BASE
    document["base"] = base
    document["engine"] = buildah("--version").strip()
    document["os"] = f"{platform.freedesktop_os_release()['PRETTY_NAME']}, {platform.machine()}"
    for stage in only or SMOKE:
        if not only and stage in document["details"]:
            click.echo(f"{stage}: done before")
            continue
        image = build(buildah, stage, base)
        image["smoke"] = smoke(buildah, stage)
        document["details"][stage] = image
        document["rows"] = [_row(name, found) for name, found in document["details"].items()]
        click.echo(f"{stage}: {image['mb']} MB, of which {image['base_mb']} MB are the base")
        if target is not None:
            write_json(target, document)
    smokes = [row for image in document["details"].values() for row in image["smoke"]]
    if not all(row["result"].startswith("passed") for row in smokes):
        raise click.ClickException("a container does not do what it should; see the results above")


def _row(name: str, image: dict[str, Any]) -> dict[str, Any]:
    passed = sum(row["result"].startswith("passed") for row in image["smoke"])
    return {
        "image": name,
        "mb": image["mb"],
        "base_mb": image["base_mb"],
        "user": image["user"],
        "health check": " ".join(image["healthcheck"]),
        "tried": f"{passed} of {len(image['smoke'])} passed",
    }


if __name__ == "__main__":
    main()

"""The files in .github: what they call exists, and they can do no more than they must."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
TARGET = re.compile(r"^([a-z][a-z-]*):(?!=)", re.MULTILINE)
MADE = re.compile(r"(?:^|[;&|(])[ \t]*make((?:[ \t]+[A-Za-z0-9_=.$\"-]+)+)", re.MULTILINE)
# By commit, with the tag it had: a tag alone can be moved to other code.
PINNED = re.compile(r"uses: [\w.-]+/[\w.-]+(?:/[\w.-]+)*@[0-9a-f]{40} # v\d+(\.\d+)*$")

each_workflow = pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)


def steps(path: Path) -> Iterator[dict[str, Any]]:
    tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    for job in tree["jobs"].values():
        yield from job["steps"]


def made(command: str) -> list[str]:
    """The targets that a step's command makes."""
    return [
        word
        for words in MADE.findall(command)
        for word in words.split()
        if "=" not in word and not word.startswith("-")
    ]


def test_the_workflows_are_there() -> None:
    assert {"ci", "nightly", "release"} <= {path.stem for path in WORKFLOWS}


@pytest.mark.parametrize(
    ("command", "targets"),
    [
        ("make test", ["test"]),
        ("make fuzz MINUTES=8", ["fuzz"]),
        ("make -s lint type", ["lint", "type"]),
        ('cd x && make check-tag TAG="$NAME"\necho make it', ["check-tag"]),
        (".ci/run", []),
    ],
)
def test_targets_are_found_in_commands(command: str, targets: list[str]) -> None:
    assert made(command) == targets


@each_workflow
def test_what_a_workflow_calls_exists(path: Path) -> None:
    targets = set(TARGET.findall((ROOT / "Makefile").read_text(encoding="utf-8")))
    commands = [step["run"] for step in steps(path) if "run" in step]
    assert [name for text in commands for name in made(text) if name not in targets] == []
    scripts = [text.split()[0] for text in commands if text.startswith((".ci/", "./"))]
    assert [name for name in scripts if not os.access(ROOT / name, os.X_OK)] == []


@each_workflow
def test_actions_are_pinned_by_commit(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    uses = [line.strip().removeprefix("- ") for line in lines if re.match(r"\s*(- )?uses:", line)]
    assert [line for line in uses if not PINNED.match(line)] == []


def test_an_action_has_one_version_everywhere() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in WORKFLOWS)
    versions: dict[str, set[str]] = {}
    for name, version in re.findall(r"uses: (\S+)@(.+)", text):
        versions.setdefault(name, set()).add(version)
    assert {name: found for name, found in versions.items() if len(found) > 1} == {}


@each_workflow
def test_jobs_get_the_permissions_that_they_name(path: Path) -> None:
    """Nothing by default; only a release may write, and only where its steps need it."""
    tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert tree["permissions"] in ({}, {"contents": "read"})
    writing = {
        (name, scope)
        for name, job in tree["jobs"].items()
        for scope, level in job.get("permissions", {}).items()
        if level == "write"
    }
    allowed = {
        ("attest", "attestations"),
        ("attest", "id-token"),
        ("publish", "id-token"),
        ("github", "contents"),
    }
    assert writing == (allowed if path.stem == "release" else set())


def test_only_tested_and_described_files_are_published() -> None:
    jobs = yaml.safe_load((ROOT / ".github/workflows/release.yml").read_text("utf-8"))["jobs"]
    build = [step.get("run", "") for step in jobs["build"]["steps"]]
    order = [
        next(i for i, text in enumerate(build) if word in text) for word in ("tag", "ci", "sbom")
    ]
    assert order == sorted(order)
    assert (jobs["attest"]["needs"], jobs["publish"]["needs"]) == ("build", "attest")
    assert jobs["publish"]["environment"]["name"] == "pypi"


@pytest.mark.parametrize(
    ("tag", "code"),
    [("v{}", 0), ("{}", 2), ("v{}.1", 2), ("", 2)],
    ids=["right", "no v", "more", "none"],
)
def test_a_tag_must_be_the_version(tag: str, code: int) -> None:
    from edge_retina import __version__

    call = ["make", "--silent", "check-tag", f"TAG={tag.format(__version__)}"]
    result = subprocess.run(call, cwd=ROOT, capture_output=True, text=True, timeout=30)
    assert result.returncode == code, result.stderr
    assert (f"tag v{__version__}" in result.stderr) == (code != 0)

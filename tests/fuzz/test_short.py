"""A short run over every target, and what the engine itself must catch."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tracemalloc
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.fuzz.engine import Finding
from tests.fuzz.mutations import MOST_BYTES, _many, mutate
from tests.fuzz.run import keep
from tests.fuzz.target import CORPUS, Target, original_name
from tests.fuzz.targets.table import TARGETS

ROOT = Path(__file__).resolve().parents[2]
_CASES = 60  # of each target; the corpus comes first, with all files that were ever found


def fuzzed(counts: Path, *arguments: str) -> list[dict[str, Any]]:
    """Fuzz in a process of its own: this one may have threads, and can't be copied."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz.run", *arguments, "--json", str(counts)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(counts.read_text())["targets"]


def test_the_corpus_and_some_mutations_break_nothing(tmp_path: Path) -> None:
    rows = fuzzed(tmp_path / "counts.json", "--cases", str(_CASES))
    assert [row["target"] for row in rows] == [
        name for name, target in TARGETS.items() if not target.tensorflow
    ]
    assert all(row["cases"] >= len(TARGETS[row["target"]].files()) for row in rows)


@pytest.mark.tf
def test_weights_and_checkpoints_of_the_corpus_break_nothing(tmp_path: Path) -> None:
    rows = fuzzed(tmp_path / "counts.json", "checkpoints", "--cases", "200")
    assert [(row["target"], row["cases"]) for row in rows] == [("checkpoints", 200)]


_BAD = """
import os, signal, sys, time
from pathlib import Path
import tests.fuzz.one_thread
from edge_retina.errors import ModelError
from tests.fuzz.engine import Engine
from tests.fuzz import engine
from tests.fuzz.target import Target

engine.MOST_CPU_SECONDS = 4

def check(content, name, directory):
    number = int(content)
    if number == 1: raise KeyError("x")
    if number == 2: os.kill(os.getpid(), signal.SIGSEGV)
    if number == 3:
        while True: pass
    if number == 4: bytearray(1100 * 2**20)
    if number == 5: (directory.parent / "outside").write_text("x")
    if number == 6: os._exit(0)
    if number == 7: raise ModelError("x" * 5000)
    if number == 8: (directory / "inside").write_text("x")

class Numbers(Target):
    def case(self, seed, number): return "a", str(number).encode()

target = Numbers("numbers", check)
for finding in Engine(Path(sys.argv[1])).run(target, seed=0, first=0, count=10):
    print(finding.case, finding.what)
"""


def test_the_engine_sees_every_kind_of_harm(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _BAD, str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    lines = done.stdout.splitlines()
    assert lines[0].startswith("1 KeyError at ")
    assert lines[1] == "2 the process ended by SIGSEGV"
    assert lines[2] == "3 no end after 4 s"
    assert lines[3].startswith("4 ")
    assert lines[3].endswith(" MiB of memory")
    assert lines[4] == f"5 open of {tmp_path}/outside"
    assert lines[5] == "6 the process ended with exit code 0"
    assert len(lines) == 6  # long messages are cut where they are made, and files inside may be


@pytest.mark.parametrize("target", TARGETS.values(), ids=list(TARGETS))
def test_cases_are_the_same_each_time(target: Target) -> None:
    files = target.files()
    assert files
    assert target.case(1, 0) == (original_name(files[0]), files[0].read_bytes())
    number = len(files) + 3
    assert target.case(1, number) == target.case(1, number)
    assert sum(target.case(1, n) == target.case(2, n) for n in range(number, number + 9)) < 5
    assert sum(path.stat().st_size for path in files) < 200_000  # corpora stay small


def test_mutations_change_what_they_get_and_stay_small() -> None:
    for data in (b"", b"\0\1\2\3" * 9, b'{"a": [1, 2.5, "x"]}', b"a,b\n1,2\n", b"\xff" * 3):
        found = {mutate(data, Random(number), [b"other"]) for number in range(60)}
        assert len(found) > 20
        assert max(map(len, found)) <= MOST_BYTES


def test_the_files_of_findings_are_those_of_their_cases(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("tests.fuzz.target", "tests.fuzz.run"):
        monkeypatch.setattr(f"{module}.CORPUS", tmp_path)
    (tmp_path / "some").mkdir()
    (tmp_path / "some" / "b.txt").write_text("one 1\ntwo 2\n" * 9)
    target = Target("some", lambda content, name, directory: None)
    expected = [target.case(7, number)[1] for number in (4, 5, 6)]
    paths = keep(target, 7, [Finding(number, "") for number in (4, 5, 6)])
    assert [path.read_bytes() for path in paths] == expected
    assert all(original_name(path) == "b.txt" for path in paths)


def test_a_mutation_of_a_large_file_needs_little_memory() -> None:
    data = b'{"a": [' + b"1, " * (MOST_BYTES // 3 - 10) + b"1]}"
    tracemalloc.start()
    repeated = _many(data, Random(0), [])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert repeated[:MOST_BYTES] == (data * 3)[:MOST_BYTES]
    assert peak < 10 * MOST_BYTES  # it was 3,000 times the file


def test_names_of_found_files() -> None:
    assert original_name(CORPUS / "voc" / "found-0123abcd-a.xml") == "a.xml"
    assert original_name(CORPUS / "voc" / "a.xml") == "a.xml"

"""The job with the newest TensorFlow: its upgrade must last until the tests run."""

from __future__ import annotations

import subprocess
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent
WORKFLOW = ROOT / ".github" / "workflows" / "newest-tensorflow.yml"


def test_it_upgrades_after_setup_and_before_the_tests() -> None:
    steps = yaml.safe_load(WORKFLOW.read_text(encoding="utf-8"))["jobs"]["test"]["steps"]
    runs = [step["run"] for step in steps if "run" in step]
    upgrade = next(run for run in runs if "--upgrade" in run)
    assert {"tensorflow", "tf-keras", "tensorflow-model-optimization"} <= set(upgrade.split())
    assert runs.index("make setup") < runs.index(upgrade) < runs.index("make test")


def test_make_test_does_not_install_again_what_is_set_up(tmp_path: Path) -> None:
    """Otherwise the pinned TensorFlow would be back when the tests run."""
    made = tmp_path / "venv"
    (made / "bin").mkdir(parents=True)
    for name in ("bin/python", "train.stamp", "dev.stamp"):
        (made / name).touch()
    call = ["make", "--dry-run", "test", f"VENV={made}"]
    done = subprocess.run(call, cwd=ROOT, capture_output=True, text=True, check=True)
    assert "pip install" not in done.stdout
    assert "pytest" in done.stdout

"""Stands in for `edge-retina train`: a "training" of a few tenths of a second without TensorFlow.

Its weight is a sum over the steps. The name in the config decides what is wrong with it.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import h5py

from edge_retina.config import load_config
from edge_retina.run_directory import RunDirectory


def main() -> None:
    _, _, source, _, out = sys.argv
    config, run = load_config(Path(source), resolved=True), RunDirectory(Path(out))
    if config.name == "fails":
        sys.exit("Error: nothing to train on")
    run.checkpoint_dir.mkdir(parents=True, exist_ok=True)
    stored = sorted(run.checkpoint_dir.glob("*.index"), key=lambda path: int(path.stem[5:]))
    first, total = json.loads(stored[-1].read_text()) if stored else (0, 0)
    if config.name == "forgets":
        total = 0
    lines = run.metrics_file.read_text().splitlines()[:first] if first else []
    run.metrics_file.write_text("".join(f"{line}\n" for line in lines))
    for step in range(first, config.train.steps):
        total += step
        time.sleep(0.02)
        with open(run.metrics_file, "a") as log:
            # A resumed training is slower, which is no difference.
            figures = {"step": step + 1, "loss": step, "images_per_second": first}
            log.write(json.dumps(figures) + "\n")
        if (step + 1) % 5 == 0:
            saved = run.checkpoint_dir / f"step-{step + 1}.index"
            saved.with_suffix(".part").write_text(json.dumps([step + 1, total]))
            saved.with_suffix(".part").replace(saved)
    with h5py.File(run.float_weights, "w") as file:
        file["layer/kernel"], file["layer/bias"] = float(total), 1.0
    run.mark_done("train", {"steps": config.train.steps, "seconds": 0.02 * config.train.steps})


if __name__ == "__main__":
    main()

"""What a new user meets first: a fast start, a quiet terminal, and a hint of what to do next."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner, Result

from edge_retina.cli.main import COMMANDS, START, main
from edge_retina.config import load_config
from tests.snippets.world import write_data, write_export

ROOT = Path(__file__).resolve().parents[2]
TRIES = 3  # the least of them counts: other programs only make a process slower


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(item) for item in arguments])


def measured(*arguments: object, cwd: Path) -> tuple[float, str, str]:
    """Run the program as its own process; return seconds of processor time, output, and errors."""
    code = "from edge_retina.cli.main import main; main(prog_name='edge-retina')"
    started = os.times()
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    ended = os.times()
    seconds = sum(ended[2:4]) - sum(started[2:4])  # of children
    return seconds, done.stdout, done.stderr


@pytest.fixture
def export(tmp_path: Path) -> Path:
    return write_export(tmp_path / "export", "demo")


def test_help_takes_under_a_third_of_a_second(tmp_path: Path) -> None:
    assert min(measured("--help", cwd=tmp_path)[0] for _ in range(TRIES)) < 0.3


def test_a_prediction_takes_under_a_second_and_prints_one_line(
    export: Path, tmp_path: Path
) -> None:
    cv2.imwrite(str(tmp_path / "photo.jpg"), np.full((480, 640, 3), 255, np.uint8))
    command = ("predict", export, "photo.jpg", "--out", "drawn", "--force")
    runs = [measured(*command, cwd=tmp_path) for _ in range(TRIES)]
    assert min(seconds for seconds, _, _ in runs) < 1
    _, output, errors = runs[0]
    assert output == "photo.jpg: 1 square -> drawn/photo.jpg\n"
    assert [line[9:] for line in errors.splitlines()] == [
        f"INFO using {export / 'demo_int8.tflite'}; name a .tflite file to use another"
    ]


def test_a_benchmark_s_terminal_has_our_lines_only(export: Path, tmp_path: Path) -> None:
    quick = ("--runs", 2, "--rounds", 1, "--min-seconds", 0, "--max-warmup", 0)
    _, output, errors = measured("benchmark", export, *quick, cwd=tmp_path)
    assert errors == ""
    assert output.startswith("model")


@pytest.mark.tf
def test_tensorflow_starts_in_silence() -> None:
    code = (
        "from edge_retina.cli.logs import configure_logging; configure_logging()\n"
        "from edge_retina.model.keras import tf\n"
        "import tensorflow_model_optimization\n"
        "print(float(tf.reduce_sum(tf.ones(3))), tf.config.list_logical_devices()[0].name)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("3.0 ")
    assert done.stderr == ""


def test_without_a_command_three_are_named() -> None:
    result = run()
    assert result.exit_code == 0
    assert result.stdout == START + "\n"
    named = [line.split()[1] for line in START.splitlines() if line.startswith("  edge-retina ")]
    assert named == ["demo", "new", "predict"]
    assert set(named) <= set(COMMANDS)


def test_the_shell_completes_commands_and_options(tmp_path: Path) -> None:
    def completed(words: str) -> list[str]:
        code = "from edge_retina.cli.main import main; main(prog_name='edge-retina')"
        given = {
            "_EDGE_RETINA_COMPLETE": "bash_complete",
            "COMP_WORDS": words,
            "COMP_CWORD": str(len(words.split()) - 1),
            "PYTHONPATH": str(ROOT),
        }
        done = subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, **given},
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.split()

    assert completed("edge-retina ev") == ["plain,evaluate"]
    assert completed("edge-retina new --fo") == ["plain,--force"]


def test_new_writes_a_config_that_loads_with_a_reason_for_each_setting(tmp_path: Path) -> None:
    write_data(tmp_path / "my cells", seed=0)
    out = tmp_path / "c.toml"
    result = run("new", tmp_path / "my cells", "--out", out, "--set", "train.epochs=7")
    assert result.exit_code == 0, result.output
    config, data, following = result.stdout.splitlines()
    assert config == f"config: {out}"
    assert "0 errors" in data
    assert following == f"next:   edge-retina run {out} --out runs/my-cells"
    text = out.read_text()
    assert text.startswith("# Written by 'edge-retina new'.")
    loaded = load_config(out)
    assert (loaded.name, loaded.train.epochs) == ("my-cells", 7)
    assert Path(loaded.data.path) == tmp_path / "my cells"
    lines = text.splitlines()
    size = next(i for i, line in enumerate(lines) if line.startswith("image_hw"))
    assert lines[size - 1].startswith("# ")


def test_new_starts_from_a_preset(tmp_path: Path) -> None:
    write_data(tmp_path / "cells", seed=0)
    out = tmp_path / "c.toml"
    result = run("new", tmp_path / "cells", "--preset", "accurate", "--out", out)
    assert result.exit_code == 0, result.output
    preset, loaded = load_config(preset="accurate").model, load_config(out).model
    assert loaded.backbone_width == preset.backbone_width != load_config().model.backbone_width
    assert loaded.fpn_channels == preset.fpn_channels != load_config().model.fpn_channels

    result = run("new", tmp_path / "cells", "--preset", "acurate", "--out", tmp_path / "d.toml")
    assert result.exit_code == 1
    assert "preset 'acurate' is unknown" in result.output
    assert "accurate" in result.output
    assert not (tmp_path / "d.toml").exists()


def test_new_as_json(tmp_path: Path) -> None:
    write_data(tmp_path / "cells", seed=0)
    result = run("new", tmp_path / "cells", "--out", tmp_path / "c.toml", "--json", "-")
    document = json.loads(result.stdout)
    assert document["config"] == str(tmp_path / "c.toml")
    assert list(document["findings"]) == ["error", "warning", "note"]
    found = json.loads(run("doctor", tmp_path / "cells", "--json", "-").stdout)["findings"]
    for kind, count in document["findings"].items():
        assert count == sum(item["severity"] == kind for item in found)


@pytest.mark.parametrize(
    "name, message",
    [
        ("c.toml", "c.toml: exists; name another file, or pass --force to replace it"),
        ("c.yaml", "c.yaml: a config ends with .toml; name the file c.yaml.toml"),
    ],
)
def test_new_refuses_files(tmp_path: Path, name: str, message: str) -> None:
    write_data(tmp_path / "cells", seed=0)
    (tmp_path / "c.toml").write_text("kept")
    result = run("new", tmp_path / "cells", "--out", tmp_path / name)
    assert result.exit_code == 1
    assert message in result.stderr
    assert (tmp_path / "c.toml").read_text() == "kept"
    assert not (tmp_path / "c.yaml").exists()


def test_new_replaces_a_file_if_it_may(tmp_path: Path) -> None:
    write_data(tmp_path / "cells", seed=0)
    (tmp_path / "c.toml").write_text("old")
    assert run("new", tmp_path / "cells", "--out", tmp_path / "c.toml", "--force").exit_code == 0
    assert "[data]" in (tmp_path / "c.toml").read_text()


def test_new_without_data_writes_nothing(tmp_path: Path) -> None:
    result = run("new", tmp_path / "none", "--out", tmp_path / "c.toml")
    assert result.exit_code == 1
    assert "none: no such file or directory" in result.stderr
    assert not (tmp_path / "c.toml").exists()


def test_the_demo_draws_nothing_where_it_cannot_train(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "sys.modules['tensorflow'] = None\n"
        "from edge_retina.cli.main import main\n"
        f"main(['demo', '--out', {str(tmp_path / 'demo')!r}])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == (
        'Error: this command needs the training extra: pip install "edge-retina[train]"\n'
    )
    assert list(tmp_path.iterdir()) == []

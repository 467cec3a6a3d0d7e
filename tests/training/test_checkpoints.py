from __future__ import annotations

import logging
import resource
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_retina.errors import RunError

pytestmark = pytest.mark.tf


def make(directory: Path, *, size: int = 1000) -> tuple[Any, Any, Any]:
    """Return checkpoints of one variable and one state."""
    from edge_retina.model.keras import tf
    from edge_retina.training.checkpoints import Checkpoints
    from edge_retina.training.training_state import TrainingState

    variable, state = tf.Variable(np.zeros(size, np.float32)), TrainingState()
    return Checkpoints(directory, weights=variable, state=state), variable, state


def save(directory: Path, *steps: int) -> None:
    checkpoints, variable, state = make(directory)
    for step in steps:
        variable.assign(np.full(1000, step))
        state.step = step
        checkpoints.save(step)


def restored(directory: Path) -> int:
    """Restore and return the step, which weights and state must agree on."""
    checkpoints, variable, state = make(directory)
    assert checkpoints.restore()
    assert set(variable.numpy().tolist()) == {float(state.step)}
    return state.step


def names(directory: Path) -> set[str]:
    return {path.name.split(".")[0] for path in directory.iterdir()}


def test_the_last_two_are_kept(tmp_path: Path):
    save(tmp_path, 9, 10, 100)  # by number, not by name
    assert names(tmp_path) == {"step-10", "step-100"}
    assert restored(tmp_path) == 100


def test_nothing_to_restore(tmp_path: Path):
    checkpoints, variable, state = make(tmp_path / "none")
    assert not checkpoints.restore()
    assert state.step == 0
    assert not variable.numpy().any()


def cut_data(path: Path) -> None:
    data = next(path.parent.glob(f"{path.name}.data*"))
    data.write_bytes(data.read_bytes()[:500])


def empty_data(path: Path) -> None:
    next(path.parent.glob(f"{path.name}.data*")).write_bytes(b"")


def no_data(path: Path) -> None:
    next(path.parent.glob(f"{path.name}.data*")).unlink()


def alter_data(path: Path) -> None:
    data = next(path.parent.glob(f"{path.name}.data*"))
    content = bytearray(data.read_bytes())
    content[len(content) // 2] ^= 0xFF
    data.write_bytes(content)


def cut_index(path: Path) -> None:
    index = path.with_name(f"{path.name}.index")
    index.write_bytes(index.read_bytes()[:-40])


def empty_index(path: Path) -> None:
    path.with_name(f"{path.name}.index").write_bytes(b"")


def zero_index(path: Path) -> None:
    index = path.with_name(f"{path.name}.index")
    index.write_bytes(bytes(len(index.read_bytes())))


DAMAGES = [cut_data, empty_data, no_data, alter_data, cut_index, empty_index, zero_index]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_one_falls_back_to_the_one_before(
    tmp_path: Path, damage: Callable[[Path], None], caplog: pytest.LogCaptureFixture
):
    save(tmp_path, 10, 20)
    damage(tmp_path / "step-20")
    with caplog.at_level(logging.WARNING):
        assert restored(tmp_path) == 10
    (warning,) = caplog.messages
    assert "step-20 can't be read" in warning
    # It is gone, so that it doesn't take the place of a good one among the last two.
    assert names(tmp_path) == {"step-10"}
    save(tmp_path, 15)
    assert names(tmp_path) == {"step-10", "step-15"}


def test_when_none_can_be_read_nothing_is_begun_anew(tmp_path: Path):
    save(tmp_path, 10, 20)
    cut_data(tmp_path / "step-10")
    empty_index(tmp_path / "step-20")
    checkpoints, _, _ = make(tmp_path)
    with pytest.raises(RunError, match=r"step-20 can't .* step-10 can't .* delete the directory"):
        checkpoints.restore()
    assert names(tmp_path) == {"step-10", "step-20"}, "nothing is deleted"


def test_one_of_another_network_is_refused(tmp_path: Path):
    save(tmp_path, 10)
    checkpoints, _, _ = make(tmp_path, size=7)
    with pytest.raises(RunError, match="step-10 can't be read"):
        checkpoints.restore()


def test_one_that_lacks_something_is_refused(tmp_path: Path):
    from edge_retina.model.keras import tf
    from edge_retina.training.checkpoints import Checkpoints

    Checkpoints(tmp_path, weights=tf.Variable(np.zeros(1000, np.float32))).save(10)
    checkpoints, _, _ = make(tmp_path)
    with pytest.raises(RunError, match="step-10 can't be read"):
        checkpoints.restore()


def test_it_appears_when_it_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A process killed before the last file is in its place leaves the checkpoint before."""
    save(tmp_path, 10)
    replace = Path.replace

    def killed(path: Path, target: Path) -> None:
        if path.suffix == ".index":
            raise KeyboardInterrupt
        replace(path, target)

    monkeypatch.setattr(Path, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        save(tmp_path, 20)
    assert restored(tmp_path) == 10


def test_what_a_killed_process_left_is_cleared_away(tmp_path: Path):
    save(tmp_path, 10)
    (tmp_path / "tmp1234").mkdir()
    (tmp_path / "tmp1234" / "step-15.data-00000-of-00001").write_bytes(b"half")
    (tmp_path / "step-15.data-00000-of-00001").write_bytes(b"half")
    assert restored(tmp_path) == 10
    save(tmp_path, 20)
    assert names(tmp_path) == {"step-10", "step-20"}


def test_a_full_disk_is_said_in_one_line_and_costs_nothing(tmp_path: Path) -> None:
    save(tmp_path, 1)
    before = sorted(path.name for path in tmp_path.iterdir())
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # so that the write fails instead
    resource.setrlimit(resource.RLIMIT_FSIZE, (16, hard))  # bytes that a file may have
    try:
        with pytest.raises(RunError) as caught:
            save(tmp_path, 2)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)
    said = str(caught.value)
    assert "the checkpoint of step 2 can't be written (File too large)" in said
    assert "the same command goes on from step-1" in said
    assert sorted(path.name for path in tmp_path.iterdir()) == before
    assert restored(tmp_path) == 1

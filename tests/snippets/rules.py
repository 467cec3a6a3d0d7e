"""How each command of the pages is run here: what stands in for what, and what can't be run.

The first rule whose pattern is found in a command counts. A command without a rule is run as it is,
with the words of `STAND_INS` replaced.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from typing import Literal

Speed = Literal["fast", "slow"]

# Words of the pages, and what is there in `world`.
STAND_INS = {
    "DATA": "data/mine",
    "MODEL": "runs/demo/export",
    "MODEL.tflite": "runs/demo/export/demo_int8.tflite",
    "OTHER": "runs/demo/export/demo_float32.tflite",
    "RUN": "runs/new",
}
_QUICK = "--runs 2 --rounds 1 --min-seconds 0 --max-warmup 0 --backend xnnpack"
_TINY = "--set train.steps=2 --set train.batch_size=2"


@dataclass(frozen=True)
class Rule:
    """What to do with the commands that match.

    Attributes:
        pattern: a regular expression, searched in the command as the page has it.
        speed: "slow" for what needs TensorFlow or takes seconds.
        more: arguments that are added, to make it short.
        without: options that are left out with their value, for the same reason.
        reason: why it is not run; "" runs it.
    """

    pattern: str
    speed: Speed = "fast"
    more: str = ""
    without: tuple[str, ...] = ()
    reason: str = ""


def _not_run(pattern: str, reason: str) -> Rule:
    return Rule(pattern, reason=reason)


RULES = (
    _not_run(r"(^| )make |^docker |^pip |^tensorboard|bin/pip|^python3 -m venv", "installs"),
    _not_run(r"^ssh|--device ssh", "needs a board; tests/benchmark/test_ssh.py runs it on an sshd"),
    _not_run(r"--device adb", "needs a phone; tests/benchmark/test_adb.py runs it on a made adb"),
    _not_run(r"yolo11n", "needs a YOLO file; tests/cli/test_foreign.py runs it on made ones"),
    _not_run(r" import | runs/coco", "needs a checkpoint; tests/imports makes and imports one"),
    _not_run(r" tune ", "takes hours; tests/workflow/tuning runs it on made trainings"),
    _not_run(r"benchmarks/", "takes minutes to hours on real data; its result is committed"),
    _not_run(r"^tail -c", "is about a shard of another data set; tests/datasets reads such places"),
    _not_run(r" design ", "measures for minutes; tests/design runs it on recorded times"),
    _not_run(r"design/config.toml", "follows `design`, which is not run"),
    _not_run(r" demo ", "takes minutes; tests/e2e runs the stages that it runs"),
    _not_run(r"verify-resume", "kills trainings for minutes; tests/workflow/test_resume_check.py"),
    _not_run(r"--require-delegate", "fails by intent: not all of the file is for the delegate"),
    _not_run(r"single-stream", "takes a minute for each backend; tests/benchmark has the scenario"),
    _not_run(r"--init ", "needs the trained detector that it starts from; tests/workflow has it"),
    _not_run(r"raccoons|examples/android", "needs pictures; benchmarks/thirty_pictures.py runs it"),
    _not_run(r"--source 0", "needs a camera; tests/examples runs it on a video"),
    _not_run(r" decoder ", "needs a file without NMS; tests/decoders makes and decodes some"),
    _not_run(r"detector/cells_npu", "needs the export above it; tests/export makes such files"),
    _not_run(r"--compiler|bin/vela|--arena", "needs Vela or Micro; tests/compilers runs them"),
    Rule(r" new ", more="--out written.toml"),  # not over the config that is there
    Rule(r"doctor data/\S+ .*--labels", "slow", "--folds 2 " + _TINY),
    Rule(r"--prove", "slow", "--proof-steps 20"),
    Rule(r"doctor runs/", "slow"),
    Rule(r" (run|train) .*--preview", "slow"),
    Rule(r" (run|train) ", "slow", _TINY + " --set quantize.steps=2"),
    Rule(r" quantize .*qat", "slow", "--set quantize.steps=2", without=("--set",)),
    Rule(r" (quantize|export) ", "slow"),
    Rule(r"benchmark runs/demo runs/demo/export", "slow", _QUICK),
    Rule(r"metrics.jsonl", "slow"),
    Rule(r"benchmark runs/cells/export --data", "slow", _QUICK),
    Rule(r"benchmark .*--runs", more="--backend xnnpack"),
    Rule(r" benchmark ", more=_QUICK),
    Rule(r" convert .*tfrecord", more="--force"),
)


def rule_for(command: str) -> Rule:
    """Return what to do with a command."""
    return next((rule for rule in RULES if re.search(rule.pattern, command)), Rule(""))


def adapted(command: str, rule: Rule) -> list[str]:
    """Return the words of a command as it is run here."""
    given = shlex.split(command)
    words: list[str] = []
    place = 0
    while place < len(given):
        if given[place] in rule.without:
            place += 2
            continue
        words.append(STAND_INS.get(given[place], given[place]))
        place += 1
    if words[0].endswith("/edge-retina"):
        words[0] = "edge-retina"
    return [*words, *shlex.split(rule.more)]


# Python snippets that can't be run, by a text that is in them.
PYTHON_NOT_RUN = {
    "import supervision": "needs supervision; tests/interop does the same with the real package",
    "mlflow": "needs mlflow; tests/training writes to a sink of this form",
}
# Python snippets that train.
PYTHON_SLOW = ("er.train(",)
# Console blocks whose output is compared with that of the command, and how. The others show figures
# of devices, of trainings, or made-up ones.
CONSOLE = {
    "edge-retina doctor data/bccd": "lines",  # on the shared data set
    "edge-retina inspect runs/demo/export/demo_int8.tflite": "headings",  # of another file
}
# Lines that differ between machines: anchors that k-means fits, in the last digits.
UNSTABLE = ("fitted ",)

"""MODEL opened: a RUN, a .tflite file or an export directory."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_retina.benchmark.backends import BACKENDS, KERAS, open_model, short_name
from edge_retina.benchmark.candidate import Candidate, run_candidates, tflite_candidates
from edge_retina.benchmark.runner import Runner
from edge_retina.errors import BenchmarkError, ModelError, choices_hint
from edge_retina.run_directory import RunDirectory
from edge_retina.runtime.detections import Predictor
from edge_retina.runtime.foreign_settings import ForeignChoices, ForeignSettings
from edge_retina.runtime.manifest import MANIFEST_NAME, load_manifest

# What `--backend` calls the backends of .tflite files
TFLITE_BACKENDS = {
    short_name(name): name for name, entry in BACKENDS.items() if entry.opens == "tflite"
}
MOST_THREADS = 256  # more than any device has cores; thousands would starve the machine

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class OpenedModel:
    """A detector that is ready for use.

    Attributes:
        predictor: the detector.
        file: the file that holds its weights.
        backend: what runs it, a key of `BACKENDS`.
        foreign: of a .tflite file of another framework; None for this package's models.
    """

    predictor: Predictor
    file: Path
    backend: str
    foreign: ForeignSettings | None = None


def open_predictor(
    model: Path,
    *,
    threads: int = 1,
    backend: str = "xnnpack",
    choices: ForeignChoices | None = None,
    spare_exports: bool = False,
) -> OpenedModel:
    """Open a MODEL; for an export directory its int8 file, or else its first one.

    Args:
        model: a RUN, a .tflite file or an export directory.
        threads: of a .tflite model's interpreter.
        backend: a key of `TFLITE_BACKENDS`; for .tflite models only.
        choices: what the user says of another framework's file.
        spare_exports: those choices are for another file if this one lies in its export directory.

    Raises:
        ModelError, RunError: it is none of these, or it can't be used.
    """
    if _is_run(model):
        _refuse_choices(model, choices)
        file = _weights(
            model
        )  # before TensorFlow is imported, so that a missing file is reported at once
        return OpenedModel(open_model(model, KERAS), file, KERAS)
    file, name = _choose(model, tflite_files(model)), TFLITE_BACKENDS[backend]
    foreign = _foreign(file, choices or ForeignChoices(), spare_exports=spare_exports)
    predictor = open_model(file, name, threads=threads, foreign=foreign)
    return OpenedModel(predictor, file, name, foreign)


def _foreign(file: Path, choices: ForeignChoices, *, spare_exports: bool) -> ForeignSettings | None:
    from edge_retina.runtime.foreign import foreign_settings

    settings = foreign_settings(file, choices, spare_exports=spare_exports)
    if settings is not None:
        log.info("%s: taken as %s", file, settings.summary)
    return settings


def _refuse_choices(run: Path, choices: ForeignChoices | None) -> None:
    if choices:
        raise ModelError(
            f"{run}: a run directory; --format, --labels, --normalise, --resize and --anchors are "
            "for .tflite files of other frameworks"
        )


def benchmark_candidates(
    model: Path,
    *,
    runner: Runner,
    threads: Sequence[int],
    backends: Sequence[str] = (),
    choices: ForeignChoices | None = None,
) -> list[Candidate]:
    """Return a MODEL with every backend that can run it, for each number of threads.

    Args:
        model: a RUN, a .tflite file or an export directory.
        runner: the device; backends that it lacks are left out.
        threads: numbers of threads.
        backends: short names of the wanted ones; all if there are none.
        choices: what the user says of other frameworks' files.

    Raises:
        ModelError, RunError: it is not a MODEL, or the device has no backend for it.
        BenchmarkError: the device has no backend of a name, or none of them is for this MODEL.
    """
    offered = {short_name(name): name for name in runner.backends}
    for name in backends:
        if name not in offered:
            hint = choices_hint(name, offered)
            raise BenchmarkError(f"--backend {name}: {runner.name} has no such backend; {hint}")
    found = _all_candidates(model, threads, runner.backends, choices or ForeignChoices())
    if backends and found:
        found = [item for item in found if short_name(item.backend) in backends]
        if not found:
            raise BenchmarkError(
                f"{model}: no backend of --backend {','.join(backends)} can run it; leave the "
                "option out to use all that can"
            )
    runnable = [item for item in found if item.backend in runner.backends]
    if not runnable:
        raise ModelError(
            f"{model}: {runner.name} can't run it; it runs models with {', '.join(runner.backends)}"
        )
    return runnable


def _all_candidates(
    model: Path, threads: Sequence[int], backends: Sequence[str], choices: ForeignChoices
) -> list[Candidate]:
    if _is_run(model):
        return run_candidates(
            model,
            file=_weights(model),
            family=RunDirectory(model).load_config().name,
            threads=threads,
        )
    found = []
    for file in tflite_files(model):
        # A file that is missing is reported with all the others, before anything is measured
        foreign = _foreign(file, choices, spare_exports=True) if file.is_file() else None
        found += tflite_candidates(file, threads=threads, backends=backends, foreign=foreign)
    return found


def tflite_files(model: Path) -> list[Path]:
    """Return the .tflite files of an export directory, in the manifest's order, or `model` itself.

    Raises:
        ModelError: there is none, or `model` is another kind of directory.
    """
    if not model.is_dir():
        return [model]
    if not (model / MANIFEST_NAME).is_file():
        raise ModelError(
            f"{model}: not a model: neither a run directory (no config.toml) nor an export "
            f"directory (no {MANIFEST_NAME}); name one of these or a .tflite file"
        )
    names = [name for name in load_manifest(model).files if name.endswith(".tflite")]
    if not names:
        raise ModelError(f"{model / MANIFEST_NAME}: lists no .tflite file; export the model again")
    return [model / name for name in names]


def _choose(model: Path, files: Sequence[Path]) -> Path:
    if model.is_dir():  # a file of another target is for other processors than this one
        layouts = load_manifest(model).layouts
        files = [file for file in files if file.name not in layouts] or files
    chosen = next((file for file in files if file.stem.endswith("_int8")), files[0])
    if model.is_dir():
        log.info("using %s; name a .tflite file to use another", chosen)
    return chosen


def _is_run(model: Path) -> bool:
    return RunDirectory(model).config_file.is_file()


def _weights(run: Path) -> Path:
    directory = RunDirectory(run)
    return directory.require(directory.float_weights, "train")

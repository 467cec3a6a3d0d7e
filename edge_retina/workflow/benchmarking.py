"""Models measured side by side on a device: latency, and accuracy where there is labelled data."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edge_retina.benchmark.accuracy import Accuracy, LabelledData
from edge_retina.benchmark.baseline import Baseline
from edge_retina.benchmark.delegation import RequiredDelegate
from edge_retina.benchmark.noise_image import write_noise_image
from edge_retina.benchmark.results import BenchmarkReport
from edge_retina.benchmark.run import run_benchmark
from edge_retina.benchmark.runner import Runner
from edge_retina.benchmark.timing_plan import TimingPlan
from edge_retina.datasets.schema import Dataset
from edge_retina.evaluation.class_map import restrict
from edge_retina.progress import show_progress
from edge_retina.report.benchmark_document import backend_name, short_names
from edge_retina.report.benchmark_page import Differing
from edge_retina.report.disagreements import best_threshold, disagreements
from edge_retina.runtime.foreign_settings import ForeignChoices
from edge_retina.workflow.measured_data import data_path, load_split
from edge_retina.workflow.opening import benchmark_candidates

_LATENCY_IMAGES = 20  # used in turn: enough for NMS to meet crowded and empty images


def benchmark_models(
    models: Sequence[Path],
    *,
    runner: Runner,
    plan: TimingPlan,
    data: Path | str | Dataset | None = None,
    split: str = "test",
    threads: Sequence[int] = (1,),
    backends: Sequence[str] = (),
    foreign: ForeignChoices | None = None,
    baseline: Path | None = None,
    allow_other_machine: bool = False,
    require_delegate: RequiredDelegate | None = None,
    skip_invalid: bool = False,
    seed: int | None = None,
    found: FoundObjects | None = None,
) -> BenchmarkReport:
    """Measure every backend of every model on a device.

    Args:
        models: RUNs, .tflite files and export directories.
        runner: the device.
        plan: how often and how long.
        data: a data set to measure mAP on and to take the timed images from, or where it is; None
            for a generated image and no mAP.
        split: of `data`.
        threads: thread counts to measure.
        backends: short names of the wanted ones; all if there are none.
        foreign: what the user says of other frameworks' files.
        baseline: JSON of an older benchmark, to be shown beside the results.
        allow_other_machine: take one of another machine too.
        require_delegate: fail unless this delegate ran the whole graph.
        skip_invalid: leave invalid images and boxes of `data` out.
        seed: of the generated image, or of a split by image names; None for 0.
        found: is told which objects each model found.

    Raises:
        BenchmarkError: a measurement that can't be made, or not as it was asked for.
        ModelError, RunError: a model can't be opened.
        DatasetError: the data set can't be read, or has no such split.
    """
    older = None if baseline is None else Baseline.load(baseline)
    candidates = [
        item
        for model in models
        for item in benchmark_candidates(
            model, runner=runner, threads=threads, backends=backends, choices=foreign
        )
    ]
    with tempfile.TemporaryDirectory() as scratch:
        if data is None:
            labelled = None
            images = [write_noise_image(Path(scratch) / "noise.png", seed=seed or 0)]
        else:
            pictures = load_split(data, split, skip_invalid=skip_invalid, seed=seed)
            labelled = LabelledData(*pictures, path=str(data_path(data)), split=split)
            images = [example.path for example in labelled.examples[:_LATENCY_IMAGES]]
        if found is not None:
            found.data = labelled
        with show_progress("benchmark") as progress:
            return run_benchmark(
                candidates,
                runner=runner,
                images=images,
                plan=plan,
                data=labelled,
                require_delegate=require_delegate,
                baseline=older,
                allow_other_machine=allow_other_machine,
                progress=progress,
                on_accuracy=found,
            )


class FoundObjects:
    """What `run_benchmark` tells of accuracy, kept for the page's pictures."""

    def __init__(self) -> None:
        self.data: LabelledData | None = None
        self._accuracies: dict[tuple[str, str], Accuracy] = {}

    def __call__(self, model: str, backend: str, accuracy: Accuracy) -> None:
        """Keep the detections of a model and backend."""
        if accuracy.detections:
            self._accuracies[model, backend] = accuracy

    def differing(self, document: Mapping[str, Any]) -> Differing | None:
        """Return the pictures on which an int8 model and its float one differ most.

        That is the first pair in the comparisons of which the objects are known, with the backend
        that users get unless they ask for another. None if there is no such pair.
        """
        int8 = {item["model"] for item in document["results"] if item["precision"] == "int8"}
        pairs = [
            ((item["reference"], item["reference_backend"]), (item["model"], item["backend"]))
            for item in document["comparisons"]
            if item["model"] in int8
        ]
        known = [pair for pair in pairs if all(key in self._accuracies for key in pair)]
        if not known or self.data is None:
            return None
        return self._differing(*known[0])

    def _differing(self, one: tuple[str, str], other: tuple[str, str]) -> Differing:
        assert self.data is not None
        names = short_names([one[0], other[0]])
        left, right = self._accuracies[one], self._accuracies[other]
        labels = self.data.labels if left.classes is None else left.classes.shared
        examples = self.data.examples
        if left.classes is not None:
            examples = restrict(examples, self.data.labels, labels)
        threshold = best_threshold(examples, left.detections, labels)
        tiles = disagreements(
            examples, left.detections, right.detections, labels, threshold=threshold
        )
        titles = [f"{names[model]}, {backend_name(backend)}" for model, backend in (one, other)]
        return Differing(titles[0], titles[1], threshold, tiles)

"""`edge_retina.doctor` and `edge_retina.check_labels`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edge_retina.api.settings import overrides_of, python_errors
from edge_retina.run_directory import RunDirectory
from edge_retina.workflow.examination import (
    Examination,
    examine_data,
    examine_labels,
    examine_run,
)


def doctor(
    path: str | Path,
    *,
    image_size: int | tuple[int, int] | None = None,
    html: str | Path | None = None,
    **settings: Any,
) -> Examination:
    """Find problems in a data set, or say why the detector in a RUN is poor.

    Like `edge-retina doctor`. `Run.diagnose` has more for a RUN.

    Args:
        path: a data set or a run directory.
        image_size: of the network's input, for a data set: a side, or (height, width) in pixels.
        html: make the page too, with links for this place; it is in the result's `page`.
        settings: fields of the config, such as `model={"min_level": 2}` or `seed=1`.

    Returns:
        The findings; `print` shows them, `to_dict()` is the command's JSON, and for a data set
        `config` is the advice as a config file.

    Raises:
        DatasetError, RunError: neither a data set nor a run directory.
        ConfigError: a setting that isn't there, or a value that is not allowed.
    """
    run = RunDirectory(Path(path))
    page = None if html is None else Path(html)
    with python_errors(f"{path}: the diagnosis of a run directory"):
        overrides = overrides_of(settings)
        if run.config_file.is_file():
            return examine_run(
                run,
                overrides=overrides,
                with_page=page is not None,
                links_from=page and page.parent,
            )
        return examine_data(
            Path(path),
            overrides=overrides,
            image_hw=_image_hw(image_size),
            html=page,
            write_config=Path("config.toml"),
        )


def check_labels(
    data: str | Path,
    *,
    out: str | Path,
    folds: int = 3,
    image_size: int | tuple[int, int] | None = None,
    page: bool = False,
    **settings: Any,
) -> Examination:
    """List labels that detectors disagree with, like `edge-retina doctor --labels`.

    It trains `folds` detectors, each on a part of the data, for 1,000 steps each.

    Args:
        data: the data set.
        out: directory for the trainings, which go on there after an interruption.
        folds: how many detectors; each judges the pictures it wasn't trained on.
        image_size: of the networks' input: a side, or (height, width) in pixels.
        page: make the HTML page too.
        settings: fields of the config, such as `train={"steps": 500}`.

    Returns:
        The suspects; `review` holds the annotations as COCO JSON with the suspects marked.

    Raises:
        DatasetError: the data set can't be used.
        ConfigError: a setting that isn't there, or a value that is not allowed.
        EdgeRetinaError: TensorFlow is not installed.
    """
    with python_errors("checking labels"):
        return examine_labels(
            Path(data),
            Path(out),
            overrides=overrides_of(settings),
            image_hw=_image_hw(image_size),
            folds=folds,
            with_page=page,
        )


def _image_hw(size: int | tuple[int, int] | None) -> tuple[int, int] | None:
    return (size, size) if isinstance(size, int) else size

"""From a folder of labelled images to an int8 object detector that runs on a phone.

The Python API is used as `import edge_retina as er`; docs/python.md lists its names. Importing the
package is cheap: neither TensorFlow nor NumPy nor OpenCV is loaded before a name is used.
"""

import importlib
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edge_retina.api.benchmark import benchmark as benchmark
    from edge_retina.api.detections import Detections as Detections
    from edge_retina.api.detector import Detector as Detector
    from edge_retina.api.doctor import check_labels as check_labels
    from edge_retina.api.doctor import doctor as doctor
    from edge_retina.api.evaluate import evaluate as evaluate
    from edge_retina.api.export import Export as Export
    from edge_retina.api.run import Run as Run
    from edge_retina.api.train import run as run
    from edge_retina.api.train import train as train
    from edge_retina.benchmark.results import BenchmarkReport as BenchmarkReport
    from edge_retina.config import Config as Config
    from edge_retina.config import load_config as load_config
    from edge_retina.datasets.loading import load_dataset as load_dataset
    from edge_retina.datasets.schema import Dataset as Dataset
    from edge_retina.datasets.schema import Example as Example
    from edge_retina.errors import BenchmarkError as BenchmarkError
    from edge_retina.errors import CompilerError as CompilerError
    from edge_retina.errors import ConfigError as ConfigError
    from edge_retina.errors import DatasetError as DatasetError
    from edge_retina.errors import DeviceLostError as DeviceLostError
    from edge_retina.errors import EdgeRetinaError as EdgeRetinaError
    from edge_retina.errors import ExportError as ExportError
    from edge_retina.errors import ImageError as ImageError
    from edge_retina.errors import ModelError as ModelError
    from edge_retina.errors import RunError as RunError
    from edge_retina.errors import TrainingError as TrainingError
    from edge_retina.workflow.evaluating import Evaluation as Evaluation
    from edge_retina.workflow.examination import Examination as Examination
    from edge_retina.workflow.quantizing import QuantizedModel as QuantizedModel

_ERRORS = (
    "EdgeRetinaError",
    "ConfigError",
    "DatasetError",
    "ImageError",
    "RunError",
    "TrainingError",
    "ModelError",
    "ExportError",
    "BenchmarkError",
    "DeviceLostError",
    "CompilerError",
)
# The public names and the modules that define them, in the order in which a new user needs them.
_PUBLIC = {
    "Detector": "edge_retina.api.detector",
    "Detections": "edge_retina.api.detections",
    "load_dataset": "edge_retina.datasets.loading",
    "Dataset": "edge_retina.datasets.schema",
    "Example": "edge_retina.datasets.schema",
    "doctor": "edge_retina.api.doctor",
    "check_labels": "edge_retina.api.doctor",
    "Examination": "edge_retina.workflow.examination",
    "train": "edge_retina.api.train",
    "run": "edge_retina.api.train",
    "Run": "edge_retina.api.run",
    "QuantizedModel": "edge_retina.workflow.quantizing",
    "Export": "edge_retina.api.export",
    "evaluate": "edge_retina.api.evaluate",
    "Evaluation": "edge_retina.workflow.evaluating",
    "benchmark": "edge_retina.api.benchmark",
    "BenchmarkReport": "edge_retina.benchmark.results",
    "Config": "edge_retina.config",
    "load_config": "edge_retina.config",
    **dict.fromkeys(_ERRORS, "edge_retina.errors"),
}
__all__ = list(_PUBLIC)

__version__ = "0.1.0"

# A few hundred bytes of compressed black can expand to gigabytes. This is Pillow's limit: half a
# gigabyte of RGB. The largest cameras of today produce 150 million pixels.
MAX_IMAGE_PIXELS = 178_956_970
# OpenCV reads its limit on import, and this package imports it only after this line. Its default of
# 2**30 pixels lets a small file allocate 3 GB.
os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(MAX_IMAGE_PIXELS))


def __getattr__(name: str) -> Any:
    """Import a public name when it is used for the first time."""
    if name not in _PUBLIC:
        raise AttributeError(f"module 'edge_retina' has no attribute {name!r}")
    value = getattr(importlib.import_module(_PUBLIC[name]), name)
    globals().setdefault(name, value)
    return globals()[name]


def __dir__() -> list[str]:
    """Return the module's own names and the public ones."""
    return sorted({*globals(), *_PUBLIC})

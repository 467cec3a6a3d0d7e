"""Data sets: one schema, readers and writers for the usual layouts, checks, generated images."""

from edge_retina.datasets.loading import load_dataset
from edge_retina.datasets.schema import Dataset, Example, annotations_sha256

__all__ = ["Dataset", "Example", "annotations_sha256", "load_dataset"]

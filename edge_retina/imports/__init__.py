"""Detectors of other frameworks, read from their checkpoints.

To add a family, write a module with a `FAMILY` and add a line to `FAMILIES` in `table.py`.
"""

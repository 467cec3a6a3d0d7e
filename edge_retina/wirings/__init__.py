"""Wirings as data: how pyramid and heads are connected to the backbone and to each other.

To add one, write a module with a `WIRING` and add a line to `WIRINGS` in `table.py`.
"""

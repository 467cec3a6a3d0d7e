"""Backbones as data: the network in `keras.applications`, its taps and its widths.

To add one, write a module with a `BACKBONE` and add a line to `BACKBONES` in `table.py`.
"""

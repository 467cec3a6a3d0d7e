"""Backbones as data: which network of `keras.applications`, where it is tapped, in which widths.

To add one, write a module with a `BACKBONE` and add its line to `BACKBONES`.
"""

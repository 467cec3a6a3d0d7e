"""Choosing the pictures that set the ranges of int8."""

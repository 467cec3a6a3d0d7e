"""Compilers and interpreters of other vendors, each run in a Python environment of its own."""

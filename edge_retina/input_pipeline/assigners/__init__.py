"""Assigners in TensorFlow, one per file; `choices.ASSIGNERS` lists them."""

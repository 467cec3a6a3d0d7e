"""Assigners in numpy: the readable references of those in `input_pipeline.assigners`."""

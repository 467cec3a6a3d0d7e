"""Examination of an int8 model: which layers lose accuracy, and which setting helps."""

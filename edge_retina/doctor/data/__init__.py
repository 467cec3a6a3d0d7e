"""Examination of a data set: what is wrong with it, how anchors cover it, what to change."""

"""Advice for a data set: config fields that suit it, each with its reason in one sentence."""

"""The stages of a run: a graph in which each stage runs only when its inputs change."""

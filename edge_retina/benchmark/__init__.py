"""How fast is a detector: worker processes, interleaved rounds, comparison."""

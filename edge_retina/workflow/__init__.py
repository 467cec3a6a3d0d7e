"""The stages of a run, in order, each done once."""

"""The commands and Python snippets of README and docs, run on small stand-ins of what they name."""

"""The checks, one file per subject; each returns findings."""

"""What the files for each kind of processor look like: one file for each, and a table."""

"""The Python API: what `import edge_retina as er` offers, one noun per file."""

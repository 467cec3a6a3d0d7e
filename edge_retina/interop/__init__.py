"""Adapters to other packages' objects, one file each; every one imports its package when called."""

"""Latency of detectors: runners, worker processes, interleaved rounds, comparisons."""

"""Latency of detectors: runners, worker processes, interleaved rounds, comparisons.

Called as `edge_retina.benchmark(...)` it is the function of that name of the Python API.
"""

from edge_retina.callable_package import make_callable

make_callable(__name__, "edge_retina.api.benchmark:benchmark")

"""What is wrong with a data set or an int8 model, and what to change.

Called as `edge_retina.doctor(...)` it is the function of that name of the Python API.
"""

from edge_retina.callable_package import make_callable

make_callable(__name__, "edge_retina.api.doctor:doctor")

"""Packages of this library that have the name of a public function, and can be called like it.

`edge_retina.benchmark` and `edge_retina.doctor` are packages, and Python puts a package that was
imported into its parent under that name. So these two packages are callable themselves: a call goes
to the function of the API, which is imported by then.
"""

from __future__ import annotations

import importlib
import inspect
import sys
import types
from collections.abc import Callable
from typing import Any


def make_callable(package: str, function: str) -> None:
    """Let calls of a package go to a function.

    Args:
        package: name of the package, which is being imported.
        function: its place, as `module:name`.
    """

    class CallablePackage(types.ModuleType):
        """A package that can be called."""

        @property
        def __wrapped__(self) -> Callable[..., Any]:
            module, _, name = function.partition(":")
            found: Callable[..., Any] = getattr(importlib.import_module(module), name)
            return found

        @property
        def __signature__(self) -> inspect.Signature:
            return inspect.signature(self.__wrapped__)

        def __call__(self, *arguments: Any, **settings: Any) -> Any:
            return self.__wrapped__(*arguments, **settings)

    sys.modules[package].__class__ = CallablePackage

"""What programs find loaded, and what functions that are called by tests need not import."""

from __future__ import annotations

import importlib
from typing import Any

PRELOADED = (
    "array", "bisect", "calendar", "cmath", "collections", "copy", "dataclasses", "datetime",
    "decimal", "enum", "fractions", "functools", "hashlib", "heapq", "io", "itertools", "json",
    "math", "numbers", "operator", "queue", "random", "re", "statistics", "string", "struct", "sys",
    "tempfile", "textwrap", "threading", "time", "types", "typing",
)  # fmt: skip
"""Modules of the standard library that most programs use."""
_MODULES = (
    "bisect", "collections", "copy", "datetime", "functools", "heapq", "itertools", "math",
    "operator", "random", "re", "string", "sys", "time", "typing",
)  # fmt: skip
_WHOLE = ("typing", "collections", "functools", "itertools", "heapq", "bisect")
_MATH = (
    "ceil", "comb", "factorial", "floor", "gcd", "inf", "isqrt", "lcm", "log", "log2", "perm", "pi",
    "sqrt",
)  # fmt: skip


def prelude() -> dict[str, Any]:
    """The names that such sites as LeetCode import ahead of a solution."""
    names: dict[str, Any] = {}
    for module_name in _WHOLE:
        module = importlib.import_module(module_name)
        public = getattr(module, "__all__", None) or [n for n in vars(module) if n[0] != "_"]
        names.update({name: getattr(module, name) for name in public})
    math = importlib.import_module("math")
    names.update({name: getattr(math, name) for name in _MATH})
    names.update({name: importlib.import_module(name) for name in _MODULES})
    return names

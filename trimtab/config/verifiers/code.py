"""Options of the `code` verifier."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from trimtab.config.base import Model


class CodeVerifierConfig(Model):
    """Runs model-written Python against tests, in a sandbox."""

    type: Literal["code"] = "code"
    """Which verifier."""
    fence: Literal["required", "optional"] = "required"
    """Whether the program must stand in a fenced block; optional: else it is the whole response."""
    timeout_s: float = Field(default=5.0, gt=0, le=600)
    """Longest time for one test; a program that takes longer fails it."""
    total_timeout_s: float = Field(default=30.0, gt=0, le=3600)
    """Longest time for all tests of an item together."""
    memory_bytes: int = Field(default=1 << 30, ge=128 << 20)
    """Address space of a program, the interpreter's own 100 MB included."""
    max_output_bytes: int = Field(default=4 << 20, ge=1024, le=64 << 20)
    """Longest output of a test; a program that writes more fails it."""
    max_tests: int | None = Field(default=1000, ge=1)
    """Only so many tests of a suite are read and run, its first ones; none: all."""
    max_references_bytes: int = Field(default=8 << 20, ge=1)
    """Longest references of one item together, in bytes of UTF-8."""
    stop_at_first_failure: bool = True
    """Whether the tests behind one that fails are left out; with `partial` they never are."""
    partial: bool = False
    """Gives SCORED with the share of the tests that are passed."""
    float_tolerance: float | None = Field(default=None, ge=0)
    """Largest difference of floats, absolute or as a share of the expected one; none: none."""
    strict_types: bool = True
    """Whether a list differs from a tuple in asserts, as in Python; JSON cannot tell them apart."""
    strip_thinking: bool = True
    """Ignores what stands between think tags; a response that ends while thinking has no answer."""

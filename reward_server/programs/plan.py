"""What is to be done for one item, and what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from reward_server.programs.comparing import Rules
from reward_server.programs.suites import Suite


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A program and how to test it."""

    program: str
    """Its text."""
    suites: Sequence[Suite]
    """Alternatives: passing one suffices."""
    timeout_s: float
    """For one test."""
    total_timeout_s: float
    """For all of them."""
    memory_bytes: int
    """Address space."""
    max_output_bytes: int
    """For one test."""
    rules: Rules
    """How outputs are compared."""
    partial: bool
    """Whether the share of passed tests is the reward."""
    run_all: bool
    """Whether tests are run behind one that failed."""


@dataclass(frozen=True, slots=True)
class Report:
    """How a program did on a suite."""

    test_count: int
    """Tests in the suite."""
    passed_count: int
    """Tests it passed, of those that were run."""
    failure: str
    """The first test that it failed, and why; empty: none."""

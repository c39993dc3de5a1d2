"""Checks whether a server keeps to the contract of RewardService, whatever it is written in."""

from trimtab.conformance.cases import Case, read_cases
from trimtab.conformance.model import Check, Finding, Level, Report, Status
from trimtab.conformance.options import QUICK, Options, Scale
from trimtab.conformance.runner import run_suite
from trimtab.conformance.suite import CHECKS

__all__ = [
    "CHECKS",
    "QUICK",
    "Case",
    "Check",
    "Finding",
    "Level",
    "Options",
    "Report",
    "Scale",
    "Status",
    "read_cases",
    "run_suite",
]

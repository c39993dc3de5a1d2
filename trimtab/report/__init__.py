"""Reports of runs: read from their folders, written as one page that needs nothing else."""

from trimtab.report.page import write_report
from trimtab.report.runs import RunData, find_runs, read_runs

__all__ = ["RunData", "find_runs", "read_runs", "write_report"]

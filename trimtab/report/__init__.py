"""Reports of runs, made from their folders alone.

`read_runs` and `summary` need nothing but the records; `trimtab.report.page`, which writes the
page, needs the extra `ui`.
"""

from trimtab.report.runs import RunData, find_runs, read_runs

__all__ = ["RunData", "find_runs", "read_runs"]

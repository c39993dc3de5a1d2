"""What several runs came to, in few numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table

from trimtab.errors import ConfigError
from trimtab.report.runs import RunData

_METRICS = ("mean_at_k", "pass_at_k", "greedy", "entropy")


def summarize(runs: Sequence[RunData], *, steps: int, wall_s: float) -> dict[str, Any]:
    """The runs' first data set before and after, and how fast they trained, as JSON values.

    Raises:
        ConfigError: a run has no evaluation before or after its training.
    """
    samples = math.fsum(run.total("samples/total") for run in runs)
    training_s = math.fsum(run.total("time/step_s") for run in runs)
    return {
        "steps": steps,
        "wall_seconds": round(wall_s, 3),
        "samples_per_second": round(samples / training_s, 3) if training_s else 0.0,
        "runs": [_run(run) for run in runs],
    }


def _run(run: RunData) -> dict[str, Any]:
    item = next(iter(run.evaluated), None)
    if item is None or item.after is None:
        raise ConfigError(
            f"{run.folder.path} lacks an evaluation before or after its training: "
            "set evaluation.at_start and evaluation.at_end, and name a data set under data.eval"
        )
    return {
        "objective": run.objective,
        "before": _picked(item.before, item.k),
        "after": _picked(item.after, item.k),
    }


def _picked(row: Mapping[str, Any], k: int) -> dict[str, float]:
    return {name.replace("_at_k", f"_at_{k}"): float(row[name]) for name in _METRICS}


def summary_table(summary: Mapping[str, Any]) -> Table:
    """The summary for people."""
    table = Table(
        title=f"{summary['steps']} steps each",
        caption=(
            f"{summary['samples_per_second']:.1f} samples/s in training, "
            f"{summary['wall_seconds']:.0f} s in all"
        ),
    )
    table.add_column("objective")
    table.add_column("")
    for name in summary["runs"][0]["before"] if summary["runs"] else ():
        table.add_column(name.replace("_at_", "@"), justify="right")
    for run in summary["runs"]:
        for when in ("before", "after"):
            cells = [f"{value:.3f}" for value in run[when].values()]
            table.add_row(run["objective"], when, *cells, end_section=when == "after")
    return table

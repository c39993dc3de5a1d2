"""The page: one HTML file without scripts that loads nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jinja2

from trimtab import __version__
from trimtab.records.files import write_atomically
from trimtab.report.charts import Line, line_chart, scatter_chart
from trimtab.report.findings import entropy_changes, findings, pearson
from trimtab.report.runs import RunData, is_number

_MISSING = "\N{EN DASH}"
_COLUMNS = (
    ("mean_at_k", "mean@k"),
    ("pass_at_k", "pass@k"),
    ("greedy", "greedy"),
    ("entropy", "entropy, nats a token"),
)


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart with its heading and what there is to say of it."""

    title: str
    svg: str
    caption: str


def write_report(runs: Sequence[RunData], out: Path, *, title: str = "") -> None:
    """Writes the report of the runs."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("trimtab.report", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["number"] = _shown
    text = environment.get_template("report.html.j2").render(
        title=title or _title(runs),
        runs=runs,
        columns=_COLUMNS,
        same_k=_same_k(runs),
        findings=findings(runs),
        charts=_charts(runs),
        written=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        version=__version__,
        total=_total,
    )
    write_atomically(out, text.encode())


def _title(runs: Sequence[RunData]) -> str:
    names = [run.label for run in runs]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _same_k(runs: Sequence[RunData]) -> int | None:
    sizes = {item.k for run in runs for item in run.evaluated}
    return sizes.pop() if len(sizes) == 1 else None


def _shown(row: Mapping[str, Any] | None, name: str) -> str:
    value = row.get(name) if row is not None else None
    return f"{value:.3f}" if is_number(value) else _MISSING


def _total(run: RunData) -> str:
    """Samples and time of a run in words."""
    samples, seconds = run.total("samples/total"), run.total("time/step_s")
    if not seconds:
        return _MISSING
    return f"{samples:,.0f} in {seconds:,.1f} s ({samples / seconds:,.0f} a second)"


def _charts(runs: Sequence[RunData]) -> list[Chart]:
    charts = [
        _curves(runs, "reward/mean", "Reward", "mean reward of valid training samples"),
        _curves(runs, "policy/entropy", "Entropy", "entropy, nats a token"),
        _scatter(runs),
    ]
    return [chart for chart in charts if chart is not None]


def _curves(runs: Sequence[RunData], metric: str, title: str, label: str) -> Chart | None:
    lines = [Line(run.label, run.series(metric)) for run in runs]
    if not any(line.points for line in lines):
        return None
    svg = line_chart(title.lower(), lines, x="training step", y=label)
    captions = {
        "reward/mean": "Mean reward of each step's samples, drawn before the step trains on them.",
        "policy/entropy": "Mean entropy of the policy over each step's tokens, before the step.",
    }
    return Chart(title, svg, captions[metric])


def _scatter(runs: Sequence[RunData]) -> Chart | None:
    lines, correlations = [], []
    for run in runs:
        pairs = entropy_changes(run)
        value = pearson(pairs)
        shown = "too few steps" if value is None else f"r = {value:.2f}"
        lines.append(Line(run.label, pairs))
        correlations.append(f"{run.label}: {shown}")
    if not any(line.points for line in lines):
        return None
    svg = scatter_chart(
        "change", lines, x="predicted change, nats a token", y="measured change, nats a token"
    )
    caption = (
        "One point a step. The prediction is first order and for plain gradient descent at the "
        "run's learning rate, with each token's logits moving on their own; the optimiser and "
        "shared parameters add a factor of their own. Only proportionality is meaningful, not "
        f"the scale. Pearson correlation: {'; '.join(correlations)}."
    )
    return Chart("Predicted against measured entropy change", svg, caption)

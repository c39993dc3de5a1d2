"""Shows how a run goes: a bar in a terminal, a line a step elsewhere."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table

from trimtab.learner.v1 import learner_pb2

_AVERAGED_STEPS = 10
_EVALUATION_COLUMNS = ("mean_at_k", "pass_at_k", "greedy", "entropy")


class RunView:
    """What people see of one run."""

    def __init__(self, console: Console, title: str = "") -> None:
        """`title` names the run where several are shown one after the other."""
        self._console = console
        self._title = title
        self._step_times_s: deque[float] = deque(maxlen=_AVERAGED_STEPS)
        self.step_count = 0
        """Steps that are planned."""
        self.evaluations: dict[tuple[str, int], dict[str, float]] = {}
        """Metrics by data set and step, in the order in which they came."""
        self._progress = Progress(
            TextColumn("[bold]{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[line]}"),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._progress.add_task(title or "run", line="starting", total=None)

    def __enter__(self) -> RunView:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def begin(self, run: learner_pb2.Run) -> None:
        """The run is open."""
        self.step_count = run.step_count
        self._progress.update(self._task, total=run.step_count or None, completed=run.step)

    def step(self, event: learner_pb2.StepEvent, *, show: bool) -> None:
        """A step was trained; `show` is False for one of an earlier session."""
        metrics = dict(event.metrics)
        if "time/step_s" in metrics:
            self._step_times_s.append(metrics["time/step_s"])
        line = step_line(event.step, self.step_count, metrics, self._left_s(event.step))
        self._progress.update(self._task, completed=event.step, line=line)
        if show and not self._console.is_terminal:
            self.say(line)

    def evaluation(self, event: learner_pb2.EvaluationEvent, *, show: bool) -> None:
        """An evaluation was done."""
        metrics = dict(event.metrics)
        self.evaluations[event.dataset, event.step] = metrics
        if show:
            self.say(f"evaluation of {event.dataset} after step {event.step}: {_shown(metrics)}")

    def say(self, text: str) -> None:
        """A line above the bar."""
        prefix = f"{self._title}: " if self._title else ""
        self._console.print(prefix + text, markup=False, soft_wrap=True)

    def _left_s(self, step: int) -> float | None:
        if not self._step_times_s or step >= self.step_count:
            return None
        mean_s = sum(self._step_times_s) / len(self._step_times_s)
        return mean_s * (self.step_count - step)


def step_line(
    step: int, step_count: int, metrics: Mapping[str, float], left_s: float | None
) -> str:
    """One line with what matters of a step; metrics that are missing are left out."""
    parts = [f"step {step}/{step_count}" if step_count else f"step {step}"]
    for label, name in (("reward", "reward/mean"), ("entropy", "policy/entropy")):
        if name in metrics:
            parts.append(f"{label} {metrics[name]:.3f}")
    if "perf/samples_per_s" in metrics:
        parts.append(f"{metrics['perf/samples_per_s']:.1f} samples/s")
    if metrics.get("samples/invalid_share", 0.0) > 0:
        parts.append(f"{metrics['samples/invalid_share']:.1%} invalid")
    if left_s is not None:
        parts.append(f"{duration(left_s)} left")
    return "  ".join(parts)


def duration(seconds: float) -> str:
    """A time as people say it, as "1 h 02 min"."""
    whole = math.ceil(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def metric_label(name: str, metrics: Mapping[str, float]) -> str:
    """A metric's name with its k, as "mean@16"."""
    k = metrics.get("k")
    return name.replace("_at_k", f"@{k:.0f}" if k else "@k")


def _shown(metrics: Mapping[str, float]) -> str:
    return "  ".join(
        f"{metric_label(name, metrics)} {metrics[name]:.3f}"
        for name in _EVALUATION_COLUMNS
        if name in metrics
    )


def evaluation_table(evaluations: Mapping[tuple[str, int], Mapping[str, float]]) -> Table | None:
    """Every evaluation as a row; None if there was none."""
    if not evaluations:
        return None
    first = next(iter(evaluations.values()))
    names = [name for name in _EVALUATION_COLUMNS if any(name in m for m in evaluations.values())]
    table = Table(title="Evaluation")
    table.add_column("data set")
    table.add_column("after step", justify="right")
    for name in names:
        table.add_column(metric_label(name, first), justify="right")
    for (dataset, step), metrics in sorted(evaluations.items()):
        values = [f"{metrics[name]:.3f}" if name in metrics else "" for name in names]
        table.add_row(dataset, str(step), *values)
    return table

"""Shows how far the judging of many rows is: a bar in a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time
from collections.abc import Mapping
from types import TracebackType

from rich.progress import BarColumn, Progress, TextColumn

from trimtab.cli.console import errors, say
from trimtab.cli.progress import duration

_LINE_EVERY_S = 10.0
_SHOWN_OUTCOMES = 4


class RowsProgress:
    """Rows done, their pace, the time left, and the outcomes so far."""

    def __init__(self, total: int, *, done: int = 0) -> None:
        """`done` of `total` rows were done before."""
        self._total = total
        self._done_before = done
        self._started_s = self._said_s = time.monotonic()
        self._bar = Progress(
            TextColumn("{task.percentage:>3.0f}%"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[line]}"),
            console=errors,
            disable=not errors.is_terminal,
        )
        self._task = self._bar.add_task("rows", total=total, completed=done, line="")

    def __enter__(self) -> RowsProgress:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def update(self, done: int, outcomes: Mapping[str, int]) -> None:
        """`done` rows are done, those of before included."""
        now_s = time.monotonic()
        is_terminal = errors.is_terminal
        if not is_terminal and now_s - self._said_s < _LINE_EVERY_S:
            return
        line = self._line(done, outcomes, now_s - self._started_s)
        if is_terminal:
            self._bar.update(self._task, completed=done, line=line)
        else:
            self._said_s = now_s
            say(line)

    def _line(self, done: int, outcomes: Mapping[str, int], elapsed_s: float) -> str:
        pace = (done - self._done_before) / elapsed_s if elapsed_s else 0.0
        parts = [f"{done:,}/{self._total:,} rows", f"{pace:,.0f} rows/s"]
        if pace and done < self._total:
            parts.append(f"{duration((self._total - done) / pace)} left")
        return "  ".join([*parts, outcome_shares(outcomes)])


def outcome_shares(outcomes: Mapping[str, int]) -> str:
    """The most frequent outcomes with their shares, in one line."""
    total = sum(outcomes.values())
    counted = sorted(outcomes.items(), key=lambda entry: -entry[1])[:_SHOWN_OUTCOMES]
    return "  ".join(f"{name} {count / total:.1%}" for name, count in counted)

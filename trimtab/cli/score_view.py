"""Shows what a file of verdicts holds: the outcomes, and the rows that deserve a look."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from trimtab.cli.console import output

if TYPE_CHECKING:
    from trimtab.scoring.summary import Summary

_MOST_CHARACTERS = 60


def show_summary(summary: Summary, out: Path) -> None:
    """Writes the tables to standard output."""
    total = summary.total
    table = Table(title=f"{total} rows")
    table.add_column("outcome")
    table.add_column("rows", justify="right")
    table.add_column("share", justify="right")
    for outcome, count in summary.outcomes.most_common():
        table.add_row(outcome, str(count), f"{count / total:.1%}")
    output.print(table)
    if summary.slowest:
        _show_rows("slowest", ((f"{row['elapsed_s']:.3g} s", row) for row in summary.slowest))
    if summary.doubtful:
        _show_rows("most doubtful", summary.doubtful)
    if summary.reward_count:
        mean = summary.reward_sum / summary.reward_count
        output.print(f"mean reward {mean:.4f} over {summary.reward_count} rows with a reward")
    if summary.cached_count:
        output.print(f"{summary.cached_count} verdicts came from the server's cache")
    if summary.audited_count:
        output.print(_audit_line(summary))
    output.print(f"verdicts in {out}", markup=False, soft_wrap=True)


def _audit_line(summary: Summary) -> str:
    line = f"audited {summary.audited_count} rows: "
    if not summary.compared_count:
        return line + "in none of them both verifiers gave a reward"
    share = summary.disagreement_count / summary.compared_count
    return line + (
        f"{summary.disagreement_count} of {summary.compared_count} that both gave a reward "
        f"disagree ({share:.2%})"
    )


def _show_rows(title: str, rows: Iterable[tuple[str, Mapping[str, Any]]]) -> None:
    table = Table(title=title)
    table.add_column("row", justify="right")
    for heading in ("why" if title != "slowest" else "time", "outcome", "answer", "detail"):
        table.add_column(heading, overflow="fold")
    for why, row in rows:
        texts = (why, row["outcome"], row["extracted_answer"], row["detail"])
        table.add_row(str(row["row"]), *(short(text) for text in texts))
    output.print(table)


def short(text: str | None) -> Text:
    """The text as one short line, never read as markup, nor obeyed by a terminal."""
    line = " ".join((text or "").split())
    if len(line) > _MOST_CHARACTERS:
        line = f"{line[:_MOST_CHARACTERS]}..."
    shown = (
        character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in line
    )
    return Text("".join(shown))

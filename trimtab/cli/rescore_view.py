"""Shows what judging a run's samples again changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Table

from trimtab.cli.console import output
from trimtab.cli.score_view import short

if TYPE_CHECKING:
    from trimtab.scoring.rescoring import Changes, Rescored

_MOST_STEPS = 40
_SHOWN_VERSIONS = 3


def show_changes(changes: Changes, out: Path) -> None:
    """Writes the tables to standard output."""
    _show_transitions(changes)
    _show_means(changes)
    if examples := changes.examples():
        _show_examples(examples)
    share = changes.changed_count / changes.count if changes.count else 0.0
    output.print(f"{changes.changed_count} of {changes.count} samples changed ({share:.2%})")
    for label, versions in (("before", changes.versions_before), ("now", changes.versions)):
        output.print(f"judged {label} by {_named(versions)}", markup=False, soft_wrap=True)
    output.print(f"verdicts in {out}", markup=False, soft_wrap=True)


def _named(versions: Counter[str]) -> str:
    named = [version or "a version that is not known" for version, _ in versions.most_common()]
    more = f" and {len(named) - _SHOWN_VERSIONS} more" if len(named) > _SHOWN_VERSIONS else ""
    return "; ".join(named[:_SHOWN_VERSIONS]) + more


def _show_transitions(changes: Changes) -> None:
    table = Table(title="outcomes")
    table.add_column("before")
    table.add_column("now")
    table.add_column("samples", justify="right")
    for (before, now), count in changes.transitions.most_common():
        table.add_row(before, now if now != before else "(the same)", str(count))
    output.print(table)


def _show_means(changes: Changes) -> None:
    table = Table(title="mean reward")
    table.add_column("samples of")
    for heading in ("step", "samples", "changed", "before", "now", "difference"):
        table.add_column(heading, justify="right")
    means = list(changes.means.items())
    for (dataset, step), mean in means[:_MOST_STEPS]:
        before, now = mean.mean_before, mean.mean_after
        difference = "" if before is None or now is None else f"{now - before:+.4f}"
        table.add_row(
            dataset or "training", str(step), str(mean.count), str(mean.changed_count),
            "" if before is None else f"{before:.4f}", "" if now is None else f"{now:.4f}",
            difference,
        )  # fmt: skip
    output.print(table)
    if len(means) > _MOST_STEPS:
        output.print(f"and {len(means) - _MOST_STEPS} more steps")


def _show_examples(examples: Sequence[Rescored]) -> None:
    table = Table(title="changed samples")
    table.add_column("samples of")
    table.add_column("step", justify="right")
    table.add_column("prompt")
    table.add_column("sample", justify="right")
    for heading in ("answer", "references", "before", "now", "detail"):
        table.add_column(heading, overflow="fold")
    for row in examples:
        table.add_row(
            row.dataset or "training", str(row.step), short(row.prompt_id), str(row.sample_index),
            short(row.extracted_answer or row.extracted_answer_before),
            short(" | ".join(row.references)),
            _verdict(row.outcome_before, row.reward_before), _verdict(row.outcome, row.reward),
            short(row.detail),
        )  # fmt: skip
    output.print(table)


def _verdict(outcome: str, reward: float | None) -> str:
    return outcome if reward is None else f"{outcome} {reward:g}"

"""Where the command line writes: results to standard output, everything else to standard error."""

from __future__ import annotations

from rich.console import Console

output = Console(highlight=False)
"""Results."""
errors = Console(stderr=True, highlight=False)
"""Progress, notes and errors."""

SERVICE_STYLES = {"rollout": "cyan", "reward": "green", "learner": "magenta"}
"""Colour of a service's name."""


def show_line(label: str, line: str, *, width: int = 7) -> None:
    """A line of a service's log behind its coloured label."""
    style = SERVICE_STYLES.get(label.partition("-")[0], "yellow")
    errors.print(f"[{style}]{label:<{width}} |[/] ", end="")
    errors.print(line, markup=False, soft_wrap=True)


def show_note(label: str, note: str) -> None:
    """What happened to a service, as a restart."""
    errors.print(f"[yellow]trimtab | {label}[/] ", end="")
    errors.print(note, markup=False, soft_wrap=True)


def say(text: str) -> None:
    """A note for people."""
    errors.print(text, markup=False, soft_wrap=True)

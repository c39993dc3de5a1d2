"""What goes wrong with services that were started here."""

from __future__ import annotations

from collections.abc import Sequence

from trimtab.errors import TrimtabError


class ServiceFailed(TrimtabError):
    """A service did not start, died for good, or cannot be started where it was asked for."""

    def __init__(self, label: str, problem: str, *, last_lines: Sequence[str] = ()) -> None:
        """`last_lines` is the end of its log; the last error line of it becomes the message's."""
        self.label = label
        self.last_lines = list(last_lines)
        cause = next((line for line in reversed(self.last_lines) if line.strip()), "")
        super().__init__(f"{label}: {problem}" + (f": {cause.strip()}" if cause else ""))

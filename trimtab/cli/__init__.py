"""The command line `trimtab`."""

from __future__ import annotations

import signal
import sys
from types import FrameType

from trimtab.errors import ConfigError, TrimtabError

__all__ = ["main"]


def main() -> None:
    """Runs the command and ends the process: 0 fine, 1 failed, 2 wrong usage, 130 interrupted."""
    signal.signal(signal.SIGINT, _interrupt)
    try:
        from trimtab.cli.app import create_app
    except ModuleNotFoundError as error:
        # The bare package is the client SDK: the command line comes with an extra.
        sys.stderr.write(f"error: {error.name} is not installed: pip install 'trimtab[cli]'\n")
        sys.exit(2)
    try:
        create_app()(prog_name="trimtab")
    except ConfigError as error:
        _show(error)
        sys.exit(2)
    except (TrimtabError, OSError) as error:
        _show(error)
        sys.exit(1)


def _interrupt(number: int, _frame: FrameType | None) -> None:
    """Ends a command that does not handle Ctrl-C itself."""
    sys.exit(128 + number)


def _show(error: Exception) -> None:
    from trimtab.cli.console import errors

    errors.print(f"error: {error}", style="red", markup=False, highlight=False, soft_wrap=True)

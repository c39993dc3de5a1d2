"""The command line `trimtab`."""

from __future__ import annotations

import sys

from trimtab.cli.app import create_app
from trimtab.cli.console import errors
from trimtab.errors import ConfigError, TrimtabError

__all__ = ["main"]


def main() -> None:
    """Runs the command and ends the process: 0 fine, 1 failed, 2 wrong usage, 130 interrupted."""
    try:
        create_app()(prog_name="trimtab")
    except ConfigError as error:
        _show(error)
        sys.exit(2)
    except TrimtabError as error:
        _show(error)
        sys.exit(1)


def _show(error: TrimtabError) -> None:
    errors.print(f"error: {error}", style="red", markup=False, highlight=False, soft_wrap=True)

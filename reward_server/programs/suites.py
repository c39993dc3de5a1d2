"""What a program is tested with, read from a reference."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from reward_server.programs.comparing import Check
from reward_server.programs.values import Unwritable, Writer

_NAME = r"[A-Za-z_]\w*"
_FUNCTION = re.compile(rf"{_NAME}|{_NAME}\(\)\.{_NAME}", re.ASCII)
_MAX_VALUE_SIZE = 1 << 24
_MAX_GROWTH = 32  # how much longer than the expected value an equal one can be written
_SLACK_BYTES = 4096  # for a value that is one digit long, or an error


class BadSuite(ValueError):
    """A reference that holds no tests; says why, and where."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InputTest:
    """One run of the program: what it reads and what it must print."""

    where: str
    """Which test it is, for people."""
    text: str
    """Standard input."""
    output: str
    """Standard output."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallTest:
    """One call of a function of the program."""

    where: str
    """Which test it is, for people."""
    function: str
    """Its name, or `Class().name`."""
    arguments: Any
    """Positional arguments, as `values.Writer` writes a list."""
    keywords: Any
    """Keyword arguments, as it writes a dict."""
    check: Check
    """What the result must be."""
    max_answer_bytes: int
    """No answer that is longer can be right."""


@dataclass(frozen=True, slots=True)
class Suite:
    """Tests of one kind, of which a program must pass every one."""

    inputs: tuple[InputTest, ...] = ()
    """Runs of the program, each in a process of its own."""
    calls: tuple[CallTest, ...] = ()
    """Calls of its functions, one after the other in one process."""

    def __len__(self) -> int:
        return len(self.inputs) + len(self.calls)


def call_test(
    where: str,
    function: str,
    arguments: Sequence[Any],
    check: Check,
    keywords: dict[str, Any] | None = None,
) -> CallTest:
    """A call of a function with values of built-in types.

    Raises:
        BadSuite: the name or a value does not do.
    """
    if not _FUNCTION.fullmatch(function):
        raise BadSuite(f"{where}: {function[:60]!r} is no name of a function")
    try:
        writer = Writer(_MAX_VALUE_SIZE)
        wanted = json.dumps(writer.write(check.value))
        any_value = check.kind in ("true", "false")
        return CallTest(
            where=where,
            function=function,
            arguments=writer.write(list(arguments)),
            keywords=writer.write(keywords or {}),
            check=check,
            max_answer_bytes=_MAX_VALUE_SIZE
            if any_value
            else _MAX_GROWTH * len(wanted) + _SLACK_BYTES,
        )
    except Unwritable as error:
        raise BadSuite(f"{where}: a value {error}") from error

"""Reads tests that are written as JSON, in the layouts that data sets of programs have."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from reward_server.programs.assertions import read_assertions
from reward_server.programs.comparing import Check
from reward_server.programs.suites import BadSuite, CallTest, InputTest, Suite, call_test

_INPUT_TYPES = ("stdin", "stdin_stdout")
MAX_TESTS = 10_000
"""Most tests of one reference."""
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
_MAX_CONTAINERS = 500_000  # each takes time and memory that its two characters do not show
_CALL_TYPES = ("functional", "function_call", "call_based")


def read_suite(text: str, entry_point: str | None = None, *, max_tests: int | None = None) -> Suite:
    """The tests of a reference: JSON where it begins with a bracket, else asserts.

    `entry_point`: the function that is called, where the reference does not name it.
    `max_tests`: the first ones that are read; None: all.

    Raises:
        BadSuite: it holds no tests, or one that cannot be read.
    """
    beginning = text.lstrip()[:1]
    if not beginning:
        raise BadSuite("it is empty")
    if beginning not in "{[":
        return read_assertions(text, entry_point, max_tests=max_tests)
    try:
        data = _loaded(text)
    except (ValueError, RecursionError) as error:
        raise BadSuite(f"no JSON: {error}") from error
    if isinstance(data, dict):
        return _read_columns(data, entry_point, max_tests)
    if data and all(isinstance(row, str) for row in data):
        return read_assertions("\n".join(data[:max_tests]), entry_point, max_tests=max_tests)
    return _read_rows(data[:max_tests], entry_point)


def _read_columns(data: Mapping[str, Any], entry_point: str | None, max_tests: int | None) -> Suite:
    """`{"inputs": [...], "outputs": [...]}`, with `fn_name` where a function is called."""
    inputs, outputs = data.get("inputs"), data.get("outputs")
    if not isinstance(inputs, list) or not isinstance(outputs, list):
        raise BadSuite('an object without the lists "inputs" and "outputs"')
    if len(inputs) != len(outputs):
        raise BadSuite(f"{len(inputs)} inputs, but {len(outputs)} outputs")
    if not inputs:
        raise BadSuite("no test is in it")
    _check_count(inputs[:max_tests])
    function = _function_name(data, entry_point)
    pairs = list(enumerate(zip(inputs[:max_tests], outputs[:max_tests], strict=True), start=1))
    if function is None:
        return Suite(inputs=tuple(_input_test(f"test {n}", *pair) for n, pair in pairs))
    return Suite(calls=tuple(_call_test(f"test {n}", function, *pair) for n, pair in pairs))


def _read_rows(data: Sequence[Any], entry_point: str | None) -> Suite:
    """`[{"input": ..., "output": ..., "testtype": ...}, ...]`."""
    _check_count(data)
    inputs: list[InputTest] = []
    calls: list[CallTest] = []
    for number, row in enumerate(data, start=1):
        where = f"test {number}"
        if not isinstance(row, dict) or not {"input", "output"} <= row.keys():
            raise BadSuite(f'{where}: no object with "input" and "output"')
        function = _function_name(row, entry_point)
        kind = row.get("testtype", row.get("type"))
        if kind is None:
            kind = _INPUT_TYPES[0] if function is None else _CALL_TYPES[0]
        if kind in _INPUT_TYPES:
            inputs.append(_input_test(where, row["input"], row["output"]))
        elif kind not in _CALL_TYPES:
            raise BadSuite(f"{where}: testtype {kind!r:.40} is neither stdin nor functional")
        elif function is None:
            raise BadSuite(f"{where}: which function is called? Add fn_name here or as metadata")
        else:
            calls.append(_call_test(where, function, row["input"], row["output"]))
    if inputs and calls:
        raise BadSuite("tests of both kinds, stdin and functional, in one suite")
    if not inputs and not calls:
        raise BadSuite("no test is in it")
    return Suite(inputs=tuple(inputs), calls=tuple(calls))


def _check_count(tests: Sequence[Any]) -> None:
    if len(tests) > MAX_TESTS:
        raise BadSuite(f"{len(tests)} tests; at most {MAX_TESTS} are read: split them")


def _function_name(data: Mapping[str, Any], entry_point: str | None) -> str | None:
    inner = data.get("metadata")
    for source in (data, inner if isinstance(inner, dict) else {}):
        for key in ("fn_name", "func_name"):
            if name := source.get(key):
                return str(name)
    return entry_point


def _input_test(where: str, given: Any, wanted: Any) -> InputTest:
    return InputTest(where=where, text=_text(where, given), output=_text(where, wanted))


def _text(where: str, data: Any) -> str:
    """A text, or the lines of one."""
    if isinstance(data, list) and all(isinstance(line, str) for line in data):
        return "\n".join(data)
    if not isinstance(data, str):
        raise BadSuite(f"{where}: input and output must be texts, not {type(data).__name__}")
    return data


def _call_test(where: str, function: str, given: Any, wanted: Any) -> CallTest:
    """Arguments are a list, an object by name, or a text with one in JSON on each line."""
    keywords: dict[str, Any] = {}
    arguments: list[Any] = []
    or_element = False
    if isinstance(given, str):
        arguments = [_json(where, line) for line in given.split("\n") if line.strip()]
        wanted = _json(where, wanted) if isinstance(wanted, str) else wanted
    elif isinstance(given, list):
        arguments = given
        or_element = isinstance(wanted, list) and len(wanted) == 1
    elif isinstance(given, dict):
        keywords = given
    else:
        raise BadSuite(f"{where}: arguments must be a list, not {type(given).__name__}")
    check = Check(value=wanted, from_json=True, or_element=or_element)
    return call_test(where, function, arguments, check, keywords)


def _json(where: str, text: str) -> Any:
    try:
        return _loaded(text)
    except (ValueError, RecursionError) as error:
        raise BadSuite(f"{where}: {text[:60]!r} is no JSON: {error}") from error


def _loaded(text: str) -> Any:
    """The value; ValueError, RecursionError: there is none, or it is far larger than its text."""
    if _bracket_count(text) > _MAX_CONTAINERS and _bracket_count(_STRING.sub("", text)) > (
        _MAX_CONTAINERS
    ):
        raise ValueError(f"it has over {_MAX_CONTAINERS} lists and objects")
    return json.loads(text)


def _bracket_count(text: str) -> int:
    return text.count("[") + text.count("{")

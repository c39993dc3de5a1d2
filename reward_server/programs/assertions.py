"""Reads tests that are written as Python asserts. They are parsed, never run."""

from __future__ import annotations

import ast
import textwrap
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from reward_server.programs.comparing import Check
from reward_server.programs.suites import BadSuite, CallTest, Suite, call_test

MAX_CHARS = 1 << 18
"""Longest text that is parsed."""
_CONSTRUCTORS: Mapping[str, Callable[..., Any]] = {
    "set": set, "frozenset": frozenset, "tuple": tuple, "list": list, "dict": dict, "float": float
}  # fmt: skip
_MAX_EQUAL_HASHES = 500
_FORMS = (
    "`assert f(...) == literal`, `is True`, `not f(...)`, `math.isclose` or `abs(f(...) - x) < y`"
)


def read_assertions(
    text: str, entry_point: str | None = None, *, max_tests: int | None = None
) -> Suite:
    """The asserts of a text, or of the `check(candidate)` in it.

    `entry_point`: the function that `candidate` stands for, where no `check(name)` tells.
    `max_tests`: the first ones that are read; None: all.

    Raises:
        BadSuite: something else is in it; names the line.
    """
    if len(text) > MAX_CHARS:
        raise BadSuite(f"asserts of {len(text)} characters; at most {MAX_CHARS} are read")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a literal that is called or compared by `is`
            statements = ast.parse(textwrap.dedent(text)).body
    except SyntaxError as error:
        raise BadSuite(f"line {error.lineno}: no Python: {error.msg}") from error
    except (ValueError, MemoryError, RecursionError) as error:
        raise BadSuite(f"no Python: {error or 'nested too deep'}") from error
    reader = _Reader(entry_point, max_tests)
    try:
        reader.read(statements)
    except RecursionError as error:
        raise BadSuite("a test is nested too deep") from error
    if not reader.tests:
        raise BadSuite("no test is in it")
    return Suite(calls=tuple(reader.tests))


class _Reader:
    def __init__(self, entry_point: str | None, max_tests: int | None) -> None:
        self.tests: list[CallTest] = []
        self._max_tests = max_tests
        self._entry_point = entry_point
        self._candidate: str | None = None

    def read(self, statements: Sequence[ast.stmt]) -> None:
        for statement in statements:
            match statement:
                case ast.Expr(ast.Call(ast.Name("check"), [ast.expr() as name], [])):
                    self._entry_point = ast.unparse(name)
        for statement in statements:
            match statement:
                case ast.FunctionDef("check", ast.arguments(args=[ast.arg(candidate)])):
                    self._candidate = candidate
                    for inner in statement.body:
                        self._read_one(inner)
                    self._candidate = None
                case ast.Expr(ast.Call(ast.Name("check"))):
                    pass
                case ast.Assign([ast.Name("METADATA")]) | ast.Import() | ast.ImportFrom():
                    pass
                case _:
                    self._read_one(statement)

    def _read_one(self, statement: ast.stmt) -> None:
        if self._max_tests is not None and len(self.tests) >= self._max_tests:
            return
        match statement:
            case ast.Assert(ast.Constant(True)) | ast.Expr(ast.Constant()) | ast.Pass():
                return
            case ast.Assert(condition):
                where = f"line {statement.lineno}"
                try:
                    call, check = _condition(condition)
                    function = self._function(where, ast.unparse(call.func))
                    keywords = {
                        keyword.arg: _literal(keyword.value)
                        for keyword in call.keywords
                        if keyword.arg is not None
                    }
                    if len(keywords) < len(call.keywords):
                        raise _Odd
                    arguments = [_literal(argument) for argument in call.args]
                except _Odd as error:
                    shown = ast.unparse(statement)[:80]
                    raise BadSuite(f"{where}: `{shown}` is none of {_FORMS}") from error
                self.tests.append(call_test(where, function, arguments, check, keywords))
            case _:
                shown = ast.unparse(statement)[:80]
                raise BadSuite(f"line {statement.lineno}: `{shown}` is no assert")

    def _function(self, where: str, name: str) -> str:
        if name != self._candidate:
            return name
        if self._entry_point is None:
            raise BadSuite(
                f"{where}: which function is {name}? Add `check(name)` or metadata `entry_point`"
            )
        return self._entry_point


class _Odd(Exception):
    """An assert of another form."""


def _condition(condition: ast.expr) -> tuple[ast.Call, Check]:
    """The call that is tested, and what is asked of its result."""
    match condition:
        case ast.Compare(left, [ast.Eq()], [right]):
            call, value = (left, right) if _is_test(left) else (right, left)
            return _call(call), Check(value=_literal(value))
        case ast.Compare(call, [ast.Is()], [ast.Constant(None | True | False as value)]):
            return _call(call), Check(kind="is", value=value)
        case ast.Compare(
            ast.Call(ast.Name("abs"), [ast.BinOp(left, ast.Sub(), right)], []),
            [ast.Lt() | ast.LtE() as operator],
            [limit],
        ):
            call, value = (left, right) if _is_test(left) else (right, left)
            inclusive = isinstance(operator, ast.LtE)
            return _call(call), Check(
                kind="close", value=_real(value), absolute=_real(limit), inclusive=inclusive
            )
        case ast.Call(ast.Name("isclose") | ast.Attribute(ast.Name("math"), "isclose")):
            return _isclose(condition)
        case ast.UnaryOp(ast.Not(), call):
            return _call(call), Check(kind="false")
        case ast.Call():
            return condition, Check(kind="true")
    raise _Odd


def _isclose(condition: ast.Call) -> tuple[ast.Call, Check]:
    tolerances = {keyword.arg: _real(keyword.value) for keyword in condition.keywords}
    if len(condition.args) != 2 or not tolerances.keys() <= {"rel_tol", "abs_tol"}:
        raise _Odd
    left, right = condition.args
    call, value = (left, right) if _is_test(left) else (right, left)
    return _call(call), Check(
        kind="close",
        value=_real(value),
        relative=tolerances.get("rel_tol", 1e-9),
        absolute=tolerances.get("abs_tol", 0.0),
    )


def _is_test(node: ast.expr) -> bool:
    """True for a call that is no literal's constructor."""
    match node:
        case ast.Call(ast.Name(name)):
            return name not in _CONSTRUCTORS
    return isinstance(node, ast.Call)


def _call(node: ast.expr) -> ast.Call:
    if not isinstance(node, ast.Call) or not _is_test(node):
        raise _Odd
    return node


def _real(node: ast.expr) -> float:
    value = _literal(node)
    if not isinstance(value, int | float):
        raise _Odd
    return value


def _literal(node: ast.expr) -> Any:
    """The value of a literal; `set()`, `float("inf")` and their like are some too."""
    match node:
        case ast.Constant(value) if value is not ...:
            return value
        case ast.List(elements):
            return [_literal(element) for element in elements]
        case ast.Tuple(elements):
            return tuple(_literal(element) for element in elements)
        case ast.Set(elements):
            return _built(set, [_literal(element) for element in elements])
        case ast.Dict(keys, values) if None not in keys:
            pairs = zip(keys, values, strict=True)
            return _built(dict, [(_literal(k), _literal(v)) for k, v in pairs if k is not None])
        case ast.UnaryOp(ast.USub() | ast.UAdd() as sign, operand):
            value = _literal(operand)
            if isinstance(value, int | float | complex):
                return -value if isinstance(sign, ast.USub) else value
        case ast.BinOp(left, ast.Add() | ast.Sub() as operator, ast.Constant(complex() as imag)):
            real = _real(left)
            return real + imag if isinstance(operator, ast.Add) else real - imag
        case ast.Call(ast.Name(name), arguments, []) if name in _CONSTRUCTORS:
            if len(arguments) <= 1:
                return _built(_CONSTRUCTORS[name], *map(_literal, arguments))
    raise _Odd


def _built(constructor: Callable[..., Any], *arguments: Any) -> Any:
    if constructor in (set, frozenset, dict) and arguments:
        _check_hashes(constructor, arguments[0])
    try:
        return constructor(*arguments)
    except (TypeError, ValueError) as error:
        raise _Odd from error


def _check_hashes(constructor: Callable[..., Any], elements: Any) -> None:
    """Refuses what takes quadratic time to look up: thousands of keys of one hash.

    Raises:
        BadSuite: it is made to hurt.
    """
    if not isinstance(elements, list | tuple) or len(elements) <= _MAX_EQUAL_HASHES:
        return
    try:
        keys = [key for key, _ in elements] if constructor is dict else elements
        groups: dict[int, list[Any]] = {}
        for key in keys:
            groups.setdefault(hash(key), []).append(key)
    except (TypeError, ValueError) as error:
        raise _Odd from error
    for group in groups.values():
        if len(group) > _MAX_EQUAL_HASHES and any(key != group[0] for key in group):
            raise BadSuite(f"a set or dict has over {_MAX_EQUAL_HASHES} keys of one hash")

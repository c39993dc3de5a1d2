"""Reading tests of programs from references."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest

from reward_server.programs.comparing import Check
from reward_server.programs.json_tests import read_suite
from reward_server.programs.suites import BadSuite, CallTest, InputTest, Suite
from reward_server.programs.values import read


def called(test: CallTest) -> tuple[str, list[Any], dict[str, Any]]:
    return test.function, read(test.arguments), read(test.keywords)


def only(text: str, entry_point: str | None = None) -> CallTest:
    [test] = read_suite(text, entry_point).calls
    return test


def test_columns_of_inputs_and_outputs_are_runs() -> None:
    text = json.dumps({"inputs": ["1 2\n", ["3", "4"]], "outputs": ["3\n", "7"]})
    assert read_suite(text) == Suite(
        inputs=(
            InputTest(where="test 1", text="1 2\n", output="3\n"),
            InputTest(where="test 2", text="3\n4", output="7"),
        )
    )


@pytest.mark.parametrize(
    "data",
    [
        {"fn_name": "add", "inputs": [[1, 2]], "outputs": [3]},
        {"fn_name": "add", "inputs": ["1\n2"], "outputs": ["3"]},
        [{"fn_name": "add", "input": [1, 2], "output": 3}],
        [{"testtype": "functional", "fn_name": "add", "input": "1\n2\n", "output": "3"}],
        [{"type": "function_call", "fn_name": "add", "input": [1, 2], "output": 3}],
        [{"input": "1\n2", "output": "3", "metadata": {"func_name": "add"}}],
    ],
)
def test_a_named_function_is_called(data: Any) -> None:
    test = only(json.dumps(data))
    assert called(test) == ("add", [1, 2], {})
    assert test.check.value == 3


def test_the_function_may_come_from_the_metadata() -> None:
    text = json.dumps([{"input": {"a": 1}, "output": None, "testtype": "functional"}])
    assert called(only(text, "f")) == ("f", [], {"a": 1})


@pytest.mark.parametrize("kind", ["stdin", "stdin_stdout"])
def test_rows_say_how_they_are_run(kind: str) -> None:
    text = json.dumps([{"input": "1", "output": "2", "testtype": kind}])
    assert len(read_suite(text, "ignored").inputs) == 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("assert f(1, b=[2]) == (3, None)", Check(value=(3, None))),
        ("assert {'a': 1} == f(1, b=[2])", Check(value={"a": 1})),
        ("assert f(1, b=[2]) == -1.5, 'message'", Check(value=-1.5)),
        ("assert f(1, b=[2]) == 1-2j", Check(value=1 - 2j)),
        ("assert f(1, b=[2]) == set()", Check(value=set())),
        ("assert f(1, b=[2]) == float('inf')", Check(value=float("inf"))),
        ("assert f(1, b=[2]) is None", Check(kind="is", value=None)),
        ("assert f(1, b=[2]) is True", Check(kind="is", value=True)),
        ("assert f(1, b=[2])", Check(kind="true")),
        ("assert not f(1, b=[2])", Check(kind="false")),
        (
            "import math\nassert math.isclose(f(1, b=[2]), 0.5, abs_tol=0.1)",
            Check(kind="close", value=0.5, relative=1e-9, absolute=0.1),
        ),
        (
            "assert abs(f(1, b=[2]) - 0.5) < 1e-6",
            Check(kind="close", value=0.5, absolute=1e-6, inclusive=False),
        ),
        ("assert abs(2 - f(1, b=[2])) <= 1", Check(kind="close", value=2, absolute=1)),
    ],
)
def test_asserts_are_read(text: str, expected: Check) -> None:
    test = only(text)
    assert called(test) == ("f", [1], {"b": [2]})
    assert test.check == expected


def test_a_method_of_a_class_can_be_tested() -> None:
    assert only("assert Solution().add(1) == 2").function == "Solution().add"


def test_asserts_may_stand_in_a_json_list() -> None:
    suite = read_suite(json.dumps(["assert f(1) == 1", "assert f(2) == 4"]))
    assert [test.where for test in suite.calls] == ["line 1", "line 2"]


CHECK = """
METADATA = {"author": "x"}

def check(candidate):
    '''Tests.'''
    assert candidate(1) == 2
    assert True, "prints"
    assert candidate(2) == 3
"""


def test_a_check_function_tests_its_candidate() -> None:
    suite = read_suite(CHECK + "check(add_one)\n")
    assert [(test.function, test.where) for test in suite.calls] == [
        ("add_one", "line 6"), ("add_one", "line 8"),
    ]  # fmt: skip
    assert {test.function for test in read_suite(CHECK, "inc").calls} == {"inc"}


def test_a_check_function_needs_a_candidate() -> None:
    with pytest.raises(BadSuite, match="entry_point"):
        read_suite(CHECK)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "empty"),
        ("42", "no test"),
        ("# nothing", "no test"),
        ("assert f(1) == 1\nassert f(1) > 2", "line 2"),
        ("assert f(1) == g(1)", "line 1"),
        ("assert f(g(1)) == 1", "line 1"),
        ("assert f(x) == 1", "line 1"),
        ("assert f(*[1]) == 1", "line 1"),
        ("assert f(**{'a': 1}) == 1", "line 1"),
        ("assert f(1) == 1 == 1", "line 1"),
        ("assert f(1) == 1 and f(2) == 2", "line 1"),
        ("assert f(1) != 2", "line 1"),
        ("assert isinstance(f(1), int)", "line 1"),
        ("assert f(1) == __import__('os').getcwd()", "line 1"),
        ("assert [f(i) for i in range(3)] == [0, 1, 2]", "line 1"),
        ("assert f(1) == {[]: 1}", "line 1"),
        ("assert f(1) == ...", "line 1"),
        ("x = f(1)\nassert x == 2", "line 1"),
        ("import os; os.system('true')", "line 1"),
        ("for i in range(3):\n    assert f(i) == i", "line 1"),
        ("assert f(1 == 1", "line 1"),
        ("assert f(" + "(" * 5000 + ")" * 5000 + ") == 1", "no Python"),
        ("assert f(1) == " + "-" * 100_000 + "1", "no Python"),
        ("assert f(1) == " + "[" * 90 + "]" * 90, "nested"),
        ("assert f(1) == 1\n" * 20_000, "characters"),
        ("assert f(1) == 1\0", "Python"),
        ("{", "no JSON"),
        ("[" * 100_000, "no JSON"),
        ("[]", "no test"),
        ("{}", "inputs"),
        ('{"inputs": [], "outputs": []}', "no test"),
        ('{"inputs": ["1"], "outputs": []}', "1 inputs, but 0 outputs"),
        ('{"inputs": [1], "outputs": ["1"]}', "test 1"),
        ('{"inputs": ["1"], "outputs": [null]}', "test 1"),
        ('{"inputs": [1], "outputs": ["1"], "fn_name": "f"}', "test 1"),
        ('{"inputs": ["x"], "outputs": ["1"], "fn_name": "f"}', "test 1"),
        ('{"inputs": [[1]], "outputs": ["1"], "fn_name": "os.system"}', "os.system"),
        ('{"inputs": "1", "outputs": "1"}', "lists"),
        ('[{"input": "1"}]', "test 1"),
        ('[{"input": "1", "output": "1"}, 3]', "test 2"),
        ('[{"input": "1", "output": "1", "testtype": "exec"}]', "exec"),
        ('[{"input": "1", "output": "1", "testtype": "functional"}]', "fn_name"),
        (
            '[{"input": "1", "output": "1"}, {"input": "1", "output": "1", "fn_name": "f"}]',
            "both kinds",
        ),
        ('["assert f(1) == 1", "print(1)"]', "line 2"),
        ('{"inputs": [[' + "9" * 5000 + ']], "outputs": [1], "fn_name": "f"}', "no JSON"),
    ],
)
def test_what_is_no_suite_is_refused(text: str, words: str) -> None:
    with pytest.raises(BadSuite, match=words.replace(".", r"\.")):
        read_suite(text)


@pytest.mark.parametrize(
    "data", [{"inputs": ["1"] * 10_001, "outputs": ["1"] * 10_001}, [{}] * 10_001]
)
def test_a_reference_with_too_many_tests_is_refused(data: Any) -> None:
    with pytest.raises(BadSuite, match="10001 tests; at most 10000"):
        read_suite(json.dumps(data))


@pytest.mark.parametrize(
    "text",
    [
        json.dumps({"inputs": ["1"] * 3, "outputs": ["1"] * 2 + [3]}),
        json.dumps([{"input": "1", "output": "1"}] * 2 + [{}]),
        json.dumps(["assert f(1) == 1"] * 2 + ["nonsense"]),
        "assert f(1) == 1\nassert f(1) == 1\nassert f(1) > 1",
    ],
)
def test_no_more_tests_are_read_than_are_run(text: str) -> None:
    assert len(read_suite(text, max_tests=2)) == 2
    with pytest.raises(BadSuite):
        read_suite(text)


@pytest.mark.parametrize("form", ["{{{}}}", "set([{}])", "{{{}: 0}}"])
def test_keys_made_to_collide_are_refused(form: str) -> None:
    modulus = sys.hash_info.modulus
    keys = ", ".join(str(modulus * number) for number in range(600))
    keys = keys.replace(",", ": 0,") if ":" in form else keys
    with pytest.raises(BadSuite, match="keys of one hash"):
        read_suite(f"assert f() == {form.format(keys)}")
    harmless = ", ".join(map(str, range(600)))
    harmless = harmless.replace(",", ": 0,") if ":" in form else harmless
    assert len(read_suite(f"assert f() == {form.format(harmless)}")) == 1


def test_one_value_many_times_collides_with_nothing() -> None:
    assert len(read_suite(f"assert f() == set([{'7, ' * 600}])")) == 1


def test_a_reference_of_nothing_but_brackets_is_refused() -> None:
    with pytest.raises(BadSuite, match="lists and objects"):
        read_suite("[" + "[]," * 500_000 + "1]")

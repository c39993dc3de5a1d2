"""Finding the program and its tests, without running anything."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from reward_server.programs.plan import Plan
from reward_server.programs.source import last_program
from reward_server.verifiers.base import Item, Outcome, Question, Verdict
from reward_server.verifiers.code import CodeVerifier
from trimtab.config.verifiers import CodeVerifierConfig

SUITE = '{"inputs": ["1"], "outputs": ["1"]}'


@pytest.mark.parametrize(
    ("text", "program"),
    [
        ("```python\nx = 1\n```", "x = 1\n"),
        ("```\nx = 1\n```", "x = 1\n"),
        ("```py\nx = 1\n```\nprints\n```\n1\n```", "x = 1\n"),
        ("```python\nx = 1\n```\nbetter:\n```Python\nx = 2\n```", "x = 2\n"),
        ("~~~python3\nx = '```'\n~~~", "x = '```'\n"),
        ("````python\n```\n````", "```\n"),
        ("1. so\n   ```python\n   if x:\n       y()\n   ```", "if x:\n    y()\n"),
        ("```{.python}\nx\n```", "x\n"),
        ("```python title=a.py\r\nx\r\n```\r\n", "x\r\n"),
        ("```python\n```", ""),
        ("```cpp\nint x;\n```\n```python\nx\n```\n```bash\nls\n```", "x\n"),
        ("```cpp\nint x;\n```", None),
        ("```python\nx = 1", None),
        ("```python\nx\n```\n```python\ny", "x\n"),
        ("`x = 1`", None),
        ("", None),
    ],
)
def test_the_last_complete_python_block_counts(text: str, program: str | None) -> None:
    assert last_program(text) == program


@pytest.mark.parametrize(
    "piece", ["`", "```", "```\n", "``` ", "~~~", " ", "\n", "> ", "```python\n", "\t`", "` "]
)
def test_odd_text_takes_linear_time(piece: str) -> None:
    began_s = time.process_time()
    last_program(piece * (1_000_000 // len(piece)))
    last_program("```" + piece * (1_000_000 // len(piece)) + "`")
    assert time.process_time() - began_s < 5  # quadratic work takes minutes


def verifier(**options: Any) -> CodeVerifier:
    return CodeVerifier(CodeVerifierConfig(**options).model_dump(exclude={"type"}))


def begun(response: str, *references: str, **options: Any) -> Verdict | Question:
    return verifier(**options).quick(Item(id="1", response=response, references=references))


def test_the_question_holds_the_program_and_the_tests() -> None:
    assert begun("<think>```python\nno\n```</think>```python\nyes\n```", SUITE) == Question(
        kind="program", texts=("yes\n", "", "30.0"), references=(SUITE,)
    )


@pytest.mark.parametrize("response", ["print(1)", "<think>```python\nprint(1)\n```", ""])
def test_without_a_block_there_is_no_answer(response: str) -> None:
    found = begun(response, SUITE)
    assert isinstance(found, Verdict)
    assert found.outcome is Outcome.NO_ANSWER


def test_the_fence_can_be_optional() -> None:
    found = begun("print(1)", SUITE, fence="optional")
    assert isinstance(found, Question)
    assert found.texts[0] == "print(1)"
    assert isinstance(begun(" ", SUITE, fence="optional"), Verdict)


@pytest.mark.parametrize(
    ("references", "words"),
    [
        ((), "no reference"),
        (("assert f(1) > 2",), "line 1"),
        ((SUITE, "nonsense"), "nonsense"),
        (('{"inputs": ["1"], "outputs": ["' + "x" * 2000 + '"]}',), "max_output_bytes"),
    ],
)
def test_a_bad_reference_is_told(references: tuple[str, ...], words: str) -> None:
    found = begun("```python\n1\n```", *references, max_output_bytes=1024)
    assert isinstance(found, Verdict)
    assert found.outcome is Outcome.INVALID_REFERENCE
    assert words in found.detail


def test_only_the_first_tests_are_planned() -> None:
    suite = "assert f(1) == 1\nassert f(2) == 2\nassert f(3) == 3"
    found = begun("```python\n1\n```", suite)
    assert isinstance(found, Question)
    plan = verifier(max_tests=2).plan(found)
    assert isinstance(plan, Plan)
    assert [len(suite) for suite in plan.suites] == [2]
    assert plan.total_timeout_s == 30


@pytest.mark.parametrize(("timeout_s", "limit_s"), [(None, 30), (3.5, 3.5), (300.0, 30)])
def test_an_items_timeout_can_only_shorten(timeout_s: float | None, limit_s: float) -> None:
    code = verifier()
    item = Item(id="1", response="```python\n1\n```", references=(SUITE,), timeout_s=timeout_s)
    found = code.quick(item)
    assert isinstance(found, Question)
    plan = code.plan(found)
    assert isinstance(plan, Plan)
    assert plan.total_timeout_s == limit_s


LONG = json.dumps({"inputs": ["1"] * 5000, "outputs": ["1"] * 5000})


def test_long_references_are_not_read_at_once() -> None:
    code = verifier()
    item = Item(id="1", response="```python\n1\n```", references=(LONG,))
    found = code.quick(item)
    assert isinstance(found, Question)
    assert code.plans_long(found)
    plan = code.plan(found)
    assert isinstance(plan, Plan)
    assert [len(suite) for suite in plan.suites] == [1000]
    assert not code.plans_long(found)
    assert code.quick(item) == found


@pytest.mark.parametrize(
    ("response", "reference", "outcome"),
    [
        ("nothing", LONG, Outcome.NO_ANSWER),
        ("nothing", LONG[:-1], Outcome.INVALID_REFERENCE),
        ("```python\n1\n```", LONG[:-1], Outcome.INVALID_REFERENCE),
    ],
)
def test_a_long_reference_and_no_program(response: str, reference: str, outcome: Outcome) -> None:
    code = verifier()
    found = code.quick(Item(id="1", response=response, references=(reference,)))
    assert isinstance(found, Question)
    verdict = code.plan(found)
    assert isinstance(verdict, Verdict)
    assert verdict.outcome is outcome
    again = code.quick(Item(id="1", response=response, references=(SUITE,)))
    assert isinstance(again, Verdict) == (response == "nothing")

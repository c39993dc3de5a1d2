"""References that are huge or made to hurt: each gets its outcome, and its neighbours theirs."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator

import pytest

from tests.wire.reward_server_process import RewardServer, item, running_reward_server
from trimtab.common.v1 import outcome_pb2

VERIFIERS = json.dumps({"code": {"type": "code"}, "math": {"type": "math"}})
PRINTS = "```python\nprint(1)\n```"
CALLED = "```python\ndef f(x):\n    return x\n```"
SMALL = json.dumps({"inputs": ["1"], "outputs": ["1"]})
COLLIDING = ", ".join(str(sys.hash_info.modulus * number) for number in range(10_000))


@pytest.fixture(scope="module")
def server() -> Iterator[RewardServer]:
    settings = (f"verifiers={VERIFIERS}", "program_slots=2")
    with running_reward_server(*settings) as running:
        yield running


def stdin_tests(count: int, output: str) -> str:
    return json.dumps({"inputs": ["1\n"] * count, "outputs": [output] * count})


def calls(count: int) -> str:
    return json.dumps({"fn_name": "f", "inputs": ["[1]"] * count, "outputs": ["[1]"] * count})


@pytest.mark.parametrize(
    ("verifier", "response", "references", "outcome"),
    [
        ("code", CALLED, (calls(300_000),), "CORRECT"),
        ("code", PRINTS, (stdin_tests(500_000, "2"),), "INCORRECT"),
        ("code", "no program", (stdin_tests(500_000, "1"),), "NO_ANSWER"),
        ("code", PRINTS, (stdin_tests(500_000, "1")[:-1],), "INVALID_REFERENCE"),
        ("code", PRINTS, (stdin_tests(800_000, "1"),), "INVALID_REFERENCE"),
        ("code", PRINTS, (SMALL,) * 101, "INVALID_REFERENCE"),
        ("code", CALLED, (f"assert f(1) == {{{COLLIDING}}}",), "INVALID_REFERENCE"),
        ("code", CALLED, ("[" + "[]," * 1_000_000 + "1]",), "INVALID_REFERENCE"),
        ("math", r"\boxed{1}", ("x+" * 7_000_000 + "1",), "INVALID_REFERENCE"),
        ("math", r"\boxed{y}", tuple(rf"\cos {n} + y" for n in range(10_000)), "INVALID_REFERENCE"),
        ("math", r"\boxed{99}", tuple(map(str, range(100))), "CORRECT"),
    ],
)  # fmt: skip
def test_it_gets_its_outcome_and_its_neighbours_theirs(
    server: RewardServer, verifier: str, response: str, references: tuple[str, ...], outcome: str
) -> None:
    results = server.score(
        item("program", PRINTS, SMALL, verifier="code"),
        item("large", response, *references, verifier=verifier),
        item("formula", r"\boxed{7}", "7", verifier="math"),
    )
    names = [outcome_pb2.Outcome.Name(result.outcome) for result in results]
    assert names == ["OUTCOME_CORRECT", f"OUTCOME_{outcome}", "OUTCOME_CORRECT"]
    assert results[1].HasField("reward") == (outcome != "INVALID_REFERENCE")

"""Checking references: what is asked, and what each answer means."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from google.protobuf import json_format

from tests.unit.router.reward_peers import Context, Peer, correct, peer
from trimtab.client.reward import RewardClient
from trimtab.common.v1 import outcome_pb2
from trimtab.errors import ConfigError
from trimtab.reward.v1 import reward_pb2
from trimtab.scoring.files import RowFile
from trimtab.scoring.references import DataCheck, Kind
from trimtab.scoring.rows import Fields, RowReader
from trimtab.scoring.verifier import Verifier

Results = list[reward_pb2.ScoreResult]
FIELDS = Fields(response=None)


def answering(outcomes: Mapping[str, Sequence[int]]) -> Peer:
    """Gives each reference its outcomes in turn, the last one for ever."""
    times: Counter[str] = Counter()

    async def answer(request: reward_pb2.ScoreRequest, context: Context) -> Results:
        results = []
        for item in request.items:
            in_turn = outcomes[item.references[0]]
            outcome = in_turn[min(times[item.references[0]], len(in_turn) - 1)]
            times[item.references[0]] += 1
            result = correct(item.id, detail="as told")
            result.outcome = outcome_pb2.Outcome.ValueType(outcome)
            if outcome > outcome_pb2.OUTCOME_SCORED:
                result.ClearField("reward")
                result.cause = outcome_pb2.CAUSE_ITEM
            results.append(result)
        return results

    return Peer(answer)


async def checked(path: Path, outcomes: Mapping[str, Sequence[int]]) -> tuple[DataCheck, Peer]:
    told = answering(outcomes)
    async with peer(*told.answers) as server, RewardClient(server.target) as client:
        verifier = await Verifier.find(client)
        check = DataCheck(RowReader(RowFile(path), FIELDS), verifier)
        async for _ in check.run(batch=4, in_flight=2):
            pass
        return check, server


def jsonl(path: Path, *values: object) -> Path:
    path.write_text("".join(json.dumps(value) + "\n" for value in values))
    return path


async def test_each_reference_is_asked_about_alone(tmp_path: Path) -> None:
    rows = [
        {"prompt": "q", "answer": ["a", "b"], "metadata": {"unit": "cm"}},
        {"prompt": "r", "answer": "c"},
    ]
    path = jsonl(tmp_path / "train.jsonl", *rows)
    no_answer = [outcome_pb2.OUTCOME_NO_ANSWER]
    check, server = await checked(path, {"a": no_answer, "b": no_answer, "c": no_answer})
    items = [item for request in server.requests for item in request.items]
    assert [list(item.references) for item in items] == [["a"], ["b"], ["c"]]
    assert {item.response for item in items} == {""}
    assert [item.prompt for item in items] == ["q", "q", "r"]
    assert json_format.MessageToDict(items[1].metadata) == {"unit": "cm", "check_references": True}
    assert json_format.MessageToDict(items[2].metadata) == {"check_references": True}
    assert check.problems == []
    assert (check.row_count, check.reference_count) == (2, 3)


async def test_every_outcome_has_a_meaning(tmp_path: Path) -> None:
    names = [name for name, number in outcome_pb2.Outcome.items() if number]
    path = jsonl(tmp_path / "train.jsonl", *[{"prompt": "q", "answer": name} for name in names])
    outcomes = {name: [outcome_pb2.Outcome.Value(name)] for name in names}
    check, _ = await checked(path, outcomes)
    found = {names[problem.row]: problem.kind for problem in check.problems}
    assert found.pop("OUTCOME_INVALID_REFERENCE") is Kind.INVALID_REFERENCE
    assert found == {
        "OUTCOME_TIMED_OUT": Kind.NOT_CHECKED,
        "OUTCOME_RESOURCE_EXHAUSTED": Kind.NOT_CHECKED,
        "OUTCOME_VERIFIER_ERROR": Kind.NOT_CHECKED,
        "OUTCOME_UNAVAILABLE": Kind.NOT_CHECKED,
    }


async def test_what_was_late_beside_others_is_asked_about_alone(tmp_path: Path) -> None:
    late, fine = outcome_pb2.OUTCOME_TIMED_OUT, outcome_pb2.OUTCOME_NO_ANSWER
    invalid = outcome_pb2.OUTCOME_INVALID_REFERENCE
    rows = [{"prompt": "q", "answer": name} for name in ("fine", "late", "bad", "never")]
    outcomes = {"fine": [fine], "late": [late, fine], "bad": [late, invalid], "never": [late]}
    check, server = await checked(jsonl(tmp_path / "train.jsonl", *rows), outcomes)
    assert [(problem.row, problem.kind) for problem in check.problems] == [
        (2, Kind.INVALID_REFERENCE),
        (3, Kind.NOT_CHECKED),
    ]
    sent = [[item.references[0] for item in request.items] for request in server.requests]
    assert sent[-3:] == [["late"], ["bad"], ["never"]]


async def test_a_file_without_references_is_no_data_set(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "train.jsonl", {"prompt": "q"}, {"prompt": "r"})
    with pytest.raises(ConfigError, match="has none of the columns references"):
        await checked(path, {})

"""Judging rows: order, bounds, what is asked again, audits, and what stands out at the end."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.unit.router.reward_peers import Context, correct, peer, refusing, well
from trimtab.client.reward import RewardClient
from trimtab.common.v1 import outcome_pb2
from trimtab.errors import RemoteError, TrimtabError
from trimtab.reward.v1 import reward_pb2
from trimtab.scoring.audit import is_sampled
from trimtab.scoring.pipeline import BATCH_CHARACTERS, Judged, Pace, batches, judged
from trimtab.scoring.rows import Row
from trimtab.scoring.summary import Summary, summarise
from trimtab.scoring.verdicts import (
    AUDITED_SCHEMA,
    NOT_AUDITED,
    Verdict,
    audit_of,
    table_of,
    verdict_of,
)
from trimtab.scoring.verifier import Verifier

Results = list[reward_pb2.ScoreResult]


def rows(count: int) -> list[Row]:
    return [Row(number, f"it is {number}", [str(number)]) for number in range(count)]


def verdict(row: int, outcome: str = "correct", **fields: Any) -> Verdict:
    result = verdict_of(row, correct(str(row)))._replace(outcome=outcome)
    if outcome not in ("correct", "incorrect", "no_answer", "scored"):
        result = result._replace(reward=None)
    return result._replace(**fields)


class Slow:
    """Judges a batch when it is told to; notes how many are under way."""

    def __init__(self) -> None:
        self.gates: dict[int, asyncio.Event] = {}
        self.busy = self.most_busy = 0

    async def judge(self, batch: Sequence[Row]) -> Judged:
        self.busy += 1
        self.most_busy = max(self.most_busy, self.busy)
        gate = self.gates.get(batch[0].number)
        await (gate.wait() if gate else asyncio.sleep(0))
        self.busy -= 1
        return Judged(batch, [verdict(row.number) for row in batch])


@pytest.mark.parametrize(("batch", "in_flight"), [(1, 1), (3, 2), (7, 5), (1000, 3)])
async def test_batches_come_in_order_and_a_bounded_number_at_once(
    batch: int, in_flight: int
) -> None:
    judge = Slow()
    found = [
        row.row
        async for done in judged(rows(100), judge, batch=batch, in_flight=in_flight)
        for row in done.verdicts
    ]
    assert found == list(range(100))
    assert judge.most_busy <= in_flight


async def test_a_slow_batch_does_not_stop_the_others_for_long() -> None:
    judge = Slow()
    judge.gates[0] = asyncio.Event()
    read: list[int] = []

    def noted() -> Iterator[Row]:
        for row in rows(100):
            read.append(row.number)
            yield row

    found = judged(noted(), judge, batch=1, in_flight=2)
    first = asyncio.ensure_future(anext(found))
    while judge.busy != 1 or len(read) < 9:  # noqa: ASYNC110 - the judge yields as well
        await asyncio.sleep(0)
    # Seven more were judged; then reading waits, so that no more pile up.
    assert not first.done()
    assert len(read) <= 10
    judge.gates[0].set()
    assert (await first).rows[0].number == 0
    await found.aclose()


async def test_an_error_ends_it_and_leaves_nothing_running() -> None:
    class Broken(Slow):
        async def judge(self, batch: Sequence[Row]) -> Judged:
            if batch[0].number == 5:
                raise TrimtabError("broken")
            return await super().judge(batch)

    judge = Broken()
    found: list[int] = []

    async def collect() -> None:
        async for done in judged(rows(100), judge, batch=1, in_flight=4):
            found.extend(row.number for row in done.rows)

    with pytest.raises(TrimtabError, match="broken"):
        await collect()
    assert found == [0, 1, 2, 3, 4]
    assert len(asyncio.all_tasks()) == 1


def test_batches_fit_a_message() -> None:
    large = Row(1, "x" * BATCH_CHARACTERS, ["1"])
    small = rows(3)
    found = list(batches([small[0], large, *small[1:]], lambda: 100))
    assert [len(batch) for batch in found] == [1, 1, 2]


def test_slow_batches_become_smaller_and_quick_ones_larger() -> None:
    pace = Pace(256)
    for _ in range(5):
        pace.note(pace.rows, 0.01)
    assert pace.rows == 256
    for _ in range(20):
        pace.note(pace.rows, 60.0)
    assert pace.rows == 1
    assert Pace(4).rows == 4


async def judged_by(*answers: object, count: int = 4) -> tuple[list[Verdict], list[list[str]]]:
    async with peer(*answers) as server, RewardClient(server.target) as client:  # type: ignore[arg-type]
        verifier = await Verifier.find(client)
        found = await verifier.verdicts(rows(count))
        return found, [[item.id for item in request.items] for request in server.requests]


async def unavailable_but_first(request: reward_pb2.ScoreRequest, context: Context) -> Results:
    first, *others = request.items
    outcomes = (outcome_pb2.OUTCOME_TIMED_OUT, outcome_pb2.OUTCOME_UNAVAILABLE)
    cause = outcome_pb2.CAUSE_MACHINERY
    return [
        correct(first.id),
        *(
            reward_pb2.ScoreResult(id=item.id, outcome=outcomes[index % 2], cause=cause)
            for index, item in enumerate(others)
        ),
    ]


async def unavailable(request: reward_pb2.ScoreRequest, context: Context) -> Results:
    outcome, cause = outcome_pb2.OUTCOME_UNAVAILABLE, outcome_pb2.CAUSE_MACHINERY
    return [reward_pb2.ScoreResult(id=i.id, outcome=outcome, cause=cause) for i in request.items]


async def test_what_had_no_time_is_asked_again() -> None:
    found, asked = await judged_by(unavailable_but_first)
    assert asked == [["0", "1", "2", "3"], ["1", "2", "3"], ["2", "3"], ["3"]]
    assert [one.outcome for one in found] == ["correct"] * 4


async def test_what_stays_unavailable_is_given_up() -> None:
    found, asked = await judged_by(unavailable, count=2)
    assert asked == [["0", "1"]] * 2
    assert [one.outcome for one in found] == ["unavailable"] * 2


async def test_transport_trouble_is_retried_and_refusals_are_not() -> None:
    import grpc

    found, asked = await judged_by(refusing(grpc.StatusCode.RESOURCE_EXHAUSTED), well)
    assert [one.outcome for one in found] == ["correct"] * 4
    assert len(asked) == 2
    with pytest.raises(RemoteError, match="INVALID_ARGUMENT"):
        await judged_by(refusing(grpc.StatusCode.INVALID_ARGUMENT), well)


async def test_a_reward_that_is_no_number_is_none() -> None:
    async def nan(request: reward_pb2.ScoreRequest, context: Context) -> Results:
        return [correct(item.id, reward=float("nan")) for item in request.items]

    found, _ = await judged_by(nan, count=1)
    assert (found[0].outcome, found[0].reward) == ("verifier_error", None)


@pytest.mark.parametrize("share", [0.0, 0.05, 0.5, 1.0])
def test_the_audited_share_is_what_was_asked_for(share: float) -> None:
    sampled = [is_sampled(number, share) for number in range(20_000)]
    assert sum(sampled) / len(sampled) == pytest.approx(share, abs=0.02)
    assert sampled == [is_sampled(number, share) for number in range(20_000)]


def test_two_verifiers_disagree_only_where_both_give_a_reward() -> None:
    right, wrong = verdict(0), verdict(0, "incorrect", reward=0.0)
    none = verdict(0, "timed_out")
    assert audit_of(right, right).disagrees is False
    assert audit_of(right, wrong).disagrees is True
    assert audit_of(wrong, verdict(0, "no_answer", reward=0.0)).disagrees is False
    assert audit_of(right, none).disagrees is None
    assert audit_of(none, right).disagrees is None


def test_a_summary_shows_what_deserves_a_look(tmp_path: Path) -> None:
    verdicts = [verdict(number, elapsed_s=number / 1000) for number in range(50)]
    verdicts[7] = verdict(7, "timed_out", elapsed_s=9.0)
    verdicts[8] = verdict(8, confidence=0.25, cached=True)
    verdicts[9] = verdict(9, confidence=0.75)
    audits = [NOT_AUDITED] * 50
    audits[3] = audit_of(verdicts[3], verdict(3, "incorrect", reward=0.0))
    audits[4] = audit_of(verdicts[4], verdicts[4])
    audits[7] = audit_of(verdicts[7], verdicts[4])
    table = table_of(verdicts, audits)
    assert table.schema == AUDITED_SCHEMA
    pq.write_table(table, tmp_path / "out.parquet")
    summary = summarise(tmp_path / "out.parquet", shown=4)
    assert summary.outcomes == {"correct": 49, "timed_out": 1}
    assert (summary.reward_count, summary.reward_sum) == (49, 49.0)
    assert summary.cached_count == 1
    assert [row["row"] for row in summary.slowest] == [7, 49, 48, 47]
    assert [(why, row["row"]) for why, row in summary.doubtful] == [
        ("the audit says incorrect", 3),
        ("no verdict", 7),
        ("confidence 0.25", 8),
        ("confidence 0.75", 9),
    ]
    assert (summary.audited_count, summary.compared_count, summary.disagreement_count) == (3, 2, 1)


def test_a_summary_may_list_nothing() -> None:
    summary = Summary(0)
    summary.add({**verdict(0, elapsed_s=1.0)._asdict()})
    assert summary.slowest == []
    assert summary.doubtful == []

"""Calls whose deadline comes before their work is done."""

from __future__ import annotations

import time
from dataclasses import dataclass

from trimtab.common.v1.outcome_pb2 import OUTCOME_TIMED_OUT, OUTCOME_UNAVAILABLE
from trimtab.conformance.model import Broken, Level, NotJudged, check
from trimtab.conformance.peer import Peer, Refused
from trimtab.conformance.verdicts import is_judged, is_same, shown
from trimtab.reward.v1 import reward_pb2

_BEFORE = "Answers before the call's deadline: items still running are then TIMED_OUT, items not "
_STRETCHES = (1, 1, 2, 4)
_LOOKED_AT = 24
_SAMPLE_ITEMS = 32
_TOO_MANY = 20
"""How many times as many items are sent as fit in."""


@dataclass(frozen=True, slots=True)
class Hurried:
    """A large batch that had little time."""

    items: list[reward_pb2.ScoreItem]
    """What was sent."""
    results: dict[str, reward_pb2.ScoreResult]
    """What came, by id."""
    given_s: float
    """The deadline."""

    @property
    def cut_count(self) -> int:
        """Items that the deadline cut."""
        cut = (OUTCOME_TIMED_OUT, OUTCOME_UNAVAILABLE)
        return sum(result.outcome in cut for result in self.results.values())


async def _too_many(peer: Peer) -> int:
    """More items than the server can judge under the short deadline, but not beyond all measure."""
    scale = peer.options.scale
    began_s = time.monotonic()
    await peer.answers(peer.items.hard(_SAMPLE_ITEMS))
    fitting = scale.hurried_s * _SAMPLE_ITEMS / (time.monotonic() - began_s)
    return min(max(_SAMPLE_ITEMS, int(_TOO_MANY * fitting)), scale.hurried_items, peer.max_items)


async def _hurried(peer: Peer) -> Hurried:
    """A batch that was answered in time; a busy machine gets more time after the first tries."""
    count = await _too_many(peer)
    for stretch in _STRETCHES:
        items = peer.items.hard(count)
        given_s = stretch * peer.options.scale.hurried_s
        try:
            hurried = Hurried(items, await peer.answers(items, timeout_s=given_s), given_s)
        except Refused as refused:
            if refused.code != "DEADLINE_EXCEEDED":
                raise
            continue
        if stretch > 1 and not hurried.cut_count:
            break  # it took its time, and the time happened to be enough
        return hurried
    peer.heeds_deadlines = False
    hurried_s = peer.options.scale.hurried_s
    raise Broken(f"{count} items with {hurried_s:g} s: no answer in time, however often asked")


@check(
    "deadline",
    level=Level.REQUIRED,
    contract=f"{_BEFORE}begun UNAVAILABLE.",
    mend="Read the call's deadline (`context.time_remaining()` in Python), stop a little before "
    "it, and answer what is unfinished with TIMED_OUT or UNAVAILABLE.",
)
async def deadline(peer: Peer) -> str:
    """Gives a large batch little time."""
    hurried = await _hurried(peer)
    text = f"{len(hurried.items)} items with {hurried.given_s:g} s"
    if not hurried.cut_count:
        return f"{text}: all were done in time, nothing had to be cut"
    return f"{text}: answered, {hurried.cut_count} of them cut"


@check(
    "cut-is-no-zero",
    level=Level.REQUIRED,
    contract="all others carry none and make the sample invalid",
    mend="Never answer an item that was not judged to its end with INCORRECT or another outcome "
    "that carries a reward: the run would learn from it.",
)
async def cut_is_no_zero(peer: Peer) -> str:
    """Judges the last items of a batch with little time again, each with enough."""
    if not peer.heeds_deadlines:
        raise NotJudged("calls are not answered before their deadline: see deadline")
    try:
        hurried = await _hurried(peer)
    except Broken as broken:
        raise NotJudged(f"{broken}: see deadline") from broken
    judged = [item for item in hurried.items if is_judged(hurried.results[item.id])]
    if not judged:
        return f"none of {len(hurried.items)} items got a reward"
    looked_at = judged[-_LOOKED_AT:]
    patient = await peer.answers(looked_at)
    again = await peer.answers(looked_at)
    for item in looked_at:
        if not is_same(patient[item.id], again[item.id]):
            raise NotJudged("the same item gets different rewards: see same-verdict")
        if not is_same(hurried.results[item.id], patient[item.id]):
            raise Broken(
                f"{shown(hurried.results[item.id])} under a short deadline, "
                f"{shown(patient[item.id])} with time enough"
            )
    return f"{len(looked_at)} items have the same reward with little time and with enough"


CHECKS = (deadline, cut_is_no_zero)

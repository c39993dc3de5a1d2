"""Many calls at once, calls given up, and more work than there is room for."""

from __future__ import annotations

import asyncio
import math
import time

from trimtab.conformance.model import Broken, Level, NotJudged, check
from trimtab.conformance.peer import Peer, Refused
from trimtab.conformance.verdicts import is_same, shown
from trimtab.reward.v1 import reward_pb2

_CALL_ITEMS = 8
_POLL_S = 0.02
_FULL = "a full queue (RESOURCE_EXHAUSTED, the latter with a retry delay)"


@check(
    "parallel-calls",
    level=Level.REQUIRED,
    contract="one per item in request order",
    mend="Keep nothing of a call in the service object or in globals: calls run at the same time.",
)
async def parallel_calls(peer: Peer) -> str:
    """Sends different items under the same ids in many calls at once."""
    calls, alone, again = [], [], []
    # One after the other first: what the right answers are only the server knows.
    for number in range(peer.options.scale.parallel_calls):
        items = peer.items.plain(_CALL_ITEMS)
        # Neighbouring calls differ in every verdict, or mixing them up would not show.
        items = items[number % _CALL_ITEMS :] + items[: number % _CALL_ITEMS]
        for index, item in enumerate(items):
            item.id = str(index)
        calls.append(items)
        alone.append(await peer.answers(items))
        again.append(await peer.answers(items))
    together = await asyncio.gather(
        *(peer.score(items, is_matched=False) for items in calls), return_exceptions=True
    )
    for number, (items, outcome) in enumerate(zip(calls, together, strict=True)):
        if isinstance(outcome, Refused):
            if outcome.code == "RESOURCE_EXHAUSTED":
                continue  # being full is for another check
            raise outcome
        if isinstance(outcome, BaseException):
            raise outcome
        if sorted(result.id for result in outcome) != sorted(item.id for item in items):
            raise Broken(f"call {number} of {len(calls)} got results that do not match its items")
        for result in outcome:
            first, second = alone[number][result.id], again[number][result.id]
            if is_same(first, second) and not is_same(first, result):
                raise Broken(f"{shown(first)} alone, {shown(result)} among {len(calls)} calls")
    return f"{len(calls)} calls at once, each with its own results"


@check(
    "cancelled-call",
    level=Level.REQUIRED,
    contract="Answers before the call's deadline",
    mend="Notice that a call was cancelled, and go on serving others.",
)
async def cancelled_call(peer: Peer) -> str:
    """Cancels calls at several moments, and calls again."""
    for delay_s in (0.0, 0.05, 0.2):
        call = _begin(peer)
        await asyncio.sleep(delay_s)
        await _cancel(call)
    results = await peer.score(peer.items.plain(4), is_matched=False)
    return f"{len(results)} results after three cancelled calls"


@check(
    "cancelled-work",
    level=Level.RECOMMENDED,
    contract="",
    mend="Give up the items of a cancelled call; running_count and waiting_count then fall.",
)
async def cancelled_work(peer: Peer) -> str:
    """Cancels a large call as soon as GetInfo tells of its work, and waits for that to go."""
    before = await peer.load()
    if before is None:
        raise NotJudged("GetInfo does not answer: see get-info")
    call = _begin(peer)
    try:
        peak = await _until(peer, least=before + _CALL_ITEMS, within_s=peer.options.scale.rise_s)
    finally:
        await _cancel(call)
    if peak is None:
        raise NotJudged("GetInfo told of no work while a large call ran")
    after = await _until(peer, most=before + (peak - before) // 4, within_s=peer.options.timeout_s)
    if after is None:
        raise Broken(
            f"{peak} items ran or waited, and {peer.options.timeout_s:g} s after the call was "
            "cancelled most of them still did"
        )
    return f"{peak} items ran or waited, {after} after the call was cancelled"


def _begin(peer: Peer) -> asyncio.Task[reward_pb2.ScoreResponse]:
    count = min(peer.options.scale.cancelled_items, peer.max_items)
    request = reward_pb2.ScoreRequest(items=peer.items.hard(count))

    async def call() -> reward_pb2.ScoreResponse:
        return await peer.stub.Score(request, timeout=peer.options.timeout_s)

    return asyncio.create_task(call())


async def _cancel(call: asyncio.Task[reward_pb2.ScoreResponse]) -> None:
    call.cancel()
    await asyncio.wait({call})
    if not call.cancelled():
        call.exception()  # one that had failed by itself is of no interest here


async def _until(
    peer: Peer, *, least: int = 0, most: float = math.inf, within_s: float
) -> int | None:
    """The load once it is between the bounds; None if it never was."""
    give_up_s = time.monotonic() + within_s
    while time.monotonic() < give_up_s:
        load = await peer.load()
        if load is not None and least <= load <= most:
            return load
        await asyncio.sleep(_POLL_S)
    return None


@check(
    "overload",
    level=Level.REQUIRED,
    contract=_FULL,
    mend="Bound the queue; refuse calls that find it full with RESOURCE_EXHAUSTED at once, and "
    "answer the others before their deadline.",
    is_heavy=True,
)
async def overload(peer: Peer) -> str:
    """Sends more than most servers have room for; then one call must be answered as ever."""
    scale = peer.options.scale
    count = min(scale.flood_items, peer.max_items)
    flood = [peer.items.hard(count) for _ in range(scale.flood_calls)]
    outcomes = await asyncio.gather(
        *(peer.score(items, timeout_s=scale.flood_s, is_matched=False) for items in flood),
        return_exceptions=True,
    )
    refused = [outcome for outcome in outcomes if isinstance(outcome, Refused)]
    for outcome in outcomes:
        if isinstance(outcome, BaseException) and not isinstance(outcome, Refused):
            raise outcome
        if isinstance(outcome, list) and len(outcome) != count:
            raise Broken(f"{len(outcome)} results to {count} items")
    other = [error for error in refused if error.code != "RESOURCE_EXHAUSTED"]
    late = [error for error in other if error.code == "DEADLINE_EXCEEDED"]
    # A server that heeds no deadline does not do so here either; whether it recovers is seen below.
    is_known = len(late) == len(other) and not peer.heeds_deadlines
    if other and not is_known:
        raise Broken(f"{len(other)} of {len(flood)} calls: {other[0]}")
    try:
        await peer.score(peer.items.plain(1), is_matched=False)
    except Refused as error:
        raise Broken(f"after {len(flood)} calls at once, one more call: {error}") from error
    answered = len(flood) - len(refused)
    return f"{answered} of {len(flood)} calls answered, {len(refused)} RESOURCE_EXHAUSTED"


CHECKS = (parallel_calls, cancelled_call, cancelled_work, overload)

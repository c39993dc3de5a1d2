"""ScoreStream: results as they come, every item answered before the end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing

from trimtab.conformance.model import Broken, Level, NotJudged, check
from trimtab.conformance.peer import Peer, Refused
from trimtab.reward.v1 import reward_pb2

_ENDS = "every item is answered before the stream ends"
_MESSAGES, _MESSAGE_ITEMS = 20, 40

Items = Sequence[reward_pb2.ScoreItem]


@check(
    "stream-offered",
    level=Level.RECOMMENDED,
    contract="Scores items as they arrive.",
    mend="Implement ScoreStream. Runs do without; callers with long queues want it.",
)
async def stream_offered(peer: Peer) -> str:
    """Opens a stream and closes it."""
    try:
        await _all(peer, [])
    except NotJudged as error:
        raise Broken(str(error)) from error
    return "a stream can be opened"


@check(
    "stream-empty",
    level=Level.REQUIRED,
    contract=_ENDS,
    mend="End a stream that brought no items with OK and no results.",
)
async def stream_empty(peer: Peer) -> str:
    """Sends nothing, and then messages without items."""
    streams: tuple[list[Items], ...] = ([], [[], [], []])
    for messages in streams:
        if results := await _all(peer, messages):
            raise Broken(f"{len(results)} results to no items")
    return "no results"


@check(
    "stream-complete",
    level=Level.REQUIRED,
    contract=_ENDS,
    mend="After the caller has closed its side, go on until every item is answered, once.",
)
async def stream_complete(peer: Peer) -> str:
    """Sends many messages, closes its side, and counts what comes."""
    messages: list[Items] = [peer.items.plain(_MESSAGE_ITEMS) for _ in range(_MESSAGES)]
    messages.insert(3, [])
    items = [item for message in messages for item in message]
    results = await _all(peer, messages)
    wanted, found = {item.id for item in items}, [result.id for result in results]
    if lost := wanted - set(found):
        raise Broken(f"{len(lost)} of {len(wanted)} items were not answered")
    if surplus := len(found) - len(wanted):
        raise Broken(f"{surplus} results more than {len(wanted)} items")
    return f"{len(found)} items in {len(messages)} messages, {len(found)} results"


@check(
    "stream-early",
    level=Level.REQUIRED,
    contract="Results come as they finish, matched by `id`",
    mend="Send results while the caller still sends: one that waits for the first result before "
    "it sends the second item would wait for ever.",
)
async def stream_early(peer: Peer) -> str:
    """Waits for each item's result before it sends the next."""
    items = peer.items.plain(4)
    answered = asyncio.Event()

    async def requests() -> AsyncIterator[Items]:
        for item in items:
            answered.clear()
            yield [item]
            await answered.wait()

    found: list[str] = []
    try:
        async with aclosing(peer.stream(requests())) as parts:
            async for results in parts:
                found += [result.id for result in results]
                answered.set()
    except Refused as refused:
        if refused.code != "DEADLINE_EXCEEDED":
            raise
        within = f"within {peer.options.timeout_s:g} s"
        raise Broken(f"item {len(found) + 1} was not answered {within}") from refused
    if found != [item.id for item in items]:
        raise Broken(f"{len(found)} results to {len(items)} items, sent one by one")
    return f"{len(found)} items, each answered before the next was sent"


@check(
    "stream-duplicate-ids",
    level=Level.REQUIRED,
    contract="ids are unique over the whole stream",
    mend="Remember the ids of a stream, and end it with INVALID_ARGUMENT when one comes again.",
)
async def stream_duplicate_ids(peer: Peer) -> str:
    """Sends an id again in a later message."""
    first, second = peer.items.plain(3), peer.items.plain(3)
    second[1].id = first[1].id
    try:
        await _all(peer, [first, second])
    except Refused as refused:
        if refused.code != "INVALID_ARGUMENT":
            raise
        return f"{refused.code} {refused.reason}".strip()
    raise Broken("the stream was answered")


async def _all(peer: Peer, messages: Sequence[Items]) -> list[reward_pb2.ScoreResult]:
    """Every result of a stream of these messages."""

    async def requests() -> AsyncIterator[Items]:
        for message in messages:
            yield message

    results: list[reward_pb2.ScoreResult] = []
    async with aclosing(peer.stream(requests())) as parts:
        async for part in parts:
            results += part
    peer.laws.note_results([item for message in messages for item in message], results, peer.where)
    return results


CHECKS = (stream_offered, stream_empty, stream_complete, stream_early, stream_duplicate_ids)

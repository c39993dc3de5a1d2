"""Long responses, large messages, and items that cost more than the others."""

from __future__ import annotations

import asyncio

from google.protobuf.duration_pb2 import Duration
from grpc import aio

from trimtab.common.v1.outcome_pb2 import (
    CAUSE_ITEM,
    OUTCOME_RESOURCE_EXHAUSTED,
    OUTCOME_UNAVAILABLE,
    OUTCOME_VERIFIER_ERROR,
)
from trimtab.conformance.model import Broken, Level, NotJudged, check
from trimtab.conformance.neighbours import beside_ordinary
from trimtab.conformance.peer import MAX_MESSAGE_BYTES, Peer, Refused
from trimtab.conformance.verdicts import is_same, shown
from trimtab.reward.v1 import reward_pb2

Item = reward_pb2.ScoreItem

_ALONE = "A failure of one item never fails the call: the item's result says what happened."
_LARGE = "a message over 16 MiB or a full queue (RESOURCE_EXHAUSTED"
_LONG_BYTES = 1_000_000
_PIECE_BYTES = 1_000_000
_ROOM_BYTES = 4096
_CLIENT_CAP_BYTES = 60 << 20


@check(
    "long-responses",
    level=Level.REQUIRED,
    contract=_ALONE,
    mend="Judge responses of up to 1 MiB, or answer them with RESOURCE_EXHAUSTED; gRPC's own "
    "limit on messages is often 4 MiB and has to be raised to 16 MiB.",
)
async def long_responses(peer: Peer) -> str:
    """Sends responses of 1 MB, in one-byte and in four-byte characters, between short ones."""
    texts = ("so " * (_LONG_BYTES // 3 - 5), "\U0001d7d5" * (_LONG_BYTES // 4 - 5))
    items = [peer.items.one(response=text + r"\boxed{7}", references=["7"]) for text in texts]
    answers = await beside_ordinary(peer, items)
    for item in items:
        if answers[item.id].outcome in (OUTCOME_VERIFIER_ERROR, OUTCOME_UNAVAILABLE):
            raise Broken(f"{shown(answers[item.id])} for a response of 1 MB")
    return ", ".join(shown(answers[item.id]) for item in items)


@check(
    "too-long-response",
    level=Level.RECOMMENDED,
    contract="Over 1 MiB it is RESOURCE_EXHAUSTED.",
    mend="Answer a response over the limit with RESOURCE_EXHAUSTED and cause ITEM, without "
    "judging it: a model that runs away must not cost the server its memory.",
)
async def too_long_response(peer: Peer) -> str:
    """Sends a response over the limit between short ones."""
    size = peer.max_response_bytes + 1
    if size > MAX_MESSAGE_BYTES // 2:
        raise NotJudged(f"the server takes responses of {size - 1} bytes")
    long = peer.items.one(response="7" * size, references=["7"])
    result = (await beside_ordinary(peer, [long]))[long.id]
    if result.outcome != OUTCOME_RESOURCE_EXHAUSTED or result.cause != CAUSE_ITEM:
        raise Broken(f"{shown(result)} for a response of {size} bytes")
    return f"RESOURCE_EXHAUSTED for {size} bytes"


@check(
    "largest-message",
    level=Level.REQUIRED,
    contract=_LARGE,
    mend="Take messages of 16 MiB: gRPC's own limit is often 4 MiB (`max_receive_message_length` "
    "in most languages); or tell a lower max_message_bytes in GetInfo.",
)
async def largest_message(peer: Peer) -> str:
    """Sends a message that just fits."""
    size = min(peer.max_message_bytes, _CLIENT_CAP_BYTES) - _ROOM_BYTES
    items = _filling(peer, size)
    await peer.answers(items)
    return f"{size} bytes in {len(items)} items"


@check(
    "too-large-message",
    level=Level.REQUIRED,
    contract=_LARGE,
    mend="Set the limit of the gRPC server to 16 MiB; it then refuses larger messages itself.",
)
async def too_large_message(peer: Peer) -> str:
    """Sends a message that does not fit, then one that does."""
    size = max(peer.max_message_bytes, MAX_MESSAGE_BYTES) + (1 << 20)
    if size > _CLIENT_CAP_BYTES:
        raise NotJudged(f"the server takes messages of {peer.max_message_bytes} bytes")
    try:
        await peer.score(_filling(peer, size), is_matched=False)
    except Refused as refused:
        if refused.code != "RESOURCE_EXHAUSTED":
            raise
        await peer.answers(peer.items.plain(2))
        return f"{size} bytes: {refused.code} {refused.reason}".strip()
    raise Broken(f"a message of {size} bytes was taken")


def _filling(peer: Peer, size: int) -> list[Item]:
    """Items that make a message of this many bytes; the prompts hold most of it."""
    items = peer.items.plain(size // _PIECE_BYTES + 1)
    left = size - sum(item.ByteSize() + 16 for item in items)
    for item in items:
        item.prompt = "p" * min(_PIECE_BYTES, left)
        left -= len(item.prompt)
        if left <= 0:
            break
    return items


@check(
    "spinning-item",
    level=Level.REQUIRED,
    contract=_ALONE,
    mend="Judge each item in a process that can be killed, under a time limit of its own: the "
    "item is then TIMED_OUT, its neighbours keep their verdicts.",
)
async def spinning_item(peer: Peer) -> str:
    """Sends a power tower, which most computer algebra does not survive, between other items."""
    item = peer.items.spinning()
    return shown((await beside_ordinary(peer, [item]))[item.id])


@check(
    "item-timeout",
    level=Level.REQUIRED,
    contract="time limit of this item, capped by the server's own",
    mend="Give up an item at its own timeout: TIMED_OUT with cause ITEM, never a reward of 0.",
)
async def item_timeout(peer: Peer) -> str:
    """Sends items with a millisecond each between ordinary ones."""
    items = peer.items.hard(4)
    for item in items:
        item.timeout.CopyFrom(Duration(nanos=1_000_000))
    hurried = await beside_ordinary(peer, items)
    for item in items:
        item.ClearField("timeout")
    patient = await peer.answers(items)
    for item in items:
        if not is_same(hurried[item.id], patient[item.id]):
            raise Broken(
                f"{shown(hurried[item.id])} within a millisecond, {shown(patient[item.id])} in time"
            )
    return shown(hurried[items[0].id])


@check(
    "no-deadline",
    level=Level.RECOMMENDED,
    contract="",
    mend="Serve calls without a deadline, under a limit of the server's own.",
)
async def no_deadline(peer: Peer) -> str:
    """Calls without a deadline."""
    request = reward_pb2.ScoreRequest(items=peer.items.plain(2))
    try:
        response = await asyncio.wait_for(peer.stub.Score(request), peer.options.timeout_s)
    except aio.AioRpcError as error:
        raise Refused(error) from error
    except TimeoutError as error:
        raise Broken(f"no answer within {peer.options.timeout_s:g} s") from error
    return f"{len(response.results)} results"


CHECKS = (
    long_responses,
    too_long_response,
    largest_message,
    too_large_message,
    spinning_item,
    item_timeout,
    no_deadline,
)

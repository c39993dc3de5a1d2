"""The same again: requests that are retried, ids of requests used twice, the same item twice."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from trimtab.conformance.model import Broken, Level, NotJudged, check
from trimtab.conformance.peer import Peer, Refused
from trimtab.conformance.verdicts import is_same, shown
from trimtab.reward.v1 import reward_pb2

_ONCE = "Safe to retry: the same `request_id` is computed once."


@check(
    "repeated-request",
    level=Level.REQUIRED,
    contract=_ONCE,
    mend="Answer a request whose request_id and items were seen before as the first time: "
    "clients retry after a lost connection.",
)
async def repeated_request(peer: Peer) -> str:
    """Sends a request twice at once, and then once more."""
    items = peer.items.plain(8)
    request_id = peer.items.request_id()
    first, second = await asyncio.gather(
        peer.answers(items, request_id=request_id), peer.answers(items, request_id=request_id)
    )
    again = await peer.answers(items, request_id=request_id)
    for other in (second, again):
        for item in items:
            one, two = first[item.id], other[item.id]
            if one.outcome != two.outcome or not is_same(one, two):
                raise Broken(f"{shown(one)}, and {shown(two)} when asked again")
    return "three calls, the same results"


@check(
    "reused-request-id",
    level=Level.REQUIRED,
    contract=_ONCE,
    mend="Compare the items as well as the request_id: for other items refuse the call with "
    "INVALID_ARGUMENT, or compute it.",
)
async def reused_request_id(peer: Peer) -> str:
    """Uses a request_id for other items under the same ids."""
    items = peer.items.plain(12)
    others = [*items[1:], items[0]]
    swapped = []
    for item, other in zip(items, others, strict=True):
        changed = reward_pb2.ScoreItem()
        changed.CopyFrom(other)
        changed.id = item.id
        swapped.append(changed)
    wanted = await peer.answers(swapped)
    request_id = peer.items.request_id()
    await peer.answers(items, request_id=request_id)
    try:
        results = await peer.score(swapped, request_id=request_id, is_matched=False)
    except Refused as refused:
        if refused.code in ("INVALID_ARGUMENT", "FAILED_PRECONDITION", "ALREADY_EXISTS"):
            return f"refused: {refused.code} {refused.reason}".strip()
        raise
    got = {result.id: result for result in results}
    if got.keys() != wanted.keys():
        raise Broken(f"{len(got)} results that do not match {len(wanted)} items")
    if not _is_same_throughout(wanted, got) and _is_same_throughout(
        wanted, await peer.answers(swapped)
    ):
        raise Broken("other items under a request_id that was used got the first items' verdicts")
    return "computed"


def _is_same_throughout(
    first: dict[str, reward_pb2.ScoreResult], second: dict[str, reward_pb2.ScoreResult]
) -> bool:
    return all(is_same(result, second[name]) for name, result in first.items())


@check(
    "same-verdict",
    level=Level.RECOMMENDED,
    contract="changes whenever the code or the options change what it says",
    mend="Give the same item the same verdict as long as verifier_version stays: otherwise "
    "recorded rewards cannot be reproduced. A judge model wants temperature 0.",
)
async def same_verdict(peer: Peer) -> str:
    """Sends the same items twice in one call, and again in another."""
    items = peer.items.plain(8)
    twins = [_renamed(item, f"{item.id}-twin") for item in items]
    once = await peer.answers([*items, *twins])
    again = await peer.answers(items)
    _compare(items, once, {item.id: once[f"{item.id}-twin"] for item in items})
    _compare(items, once, again)
    if not any(result.HasField("reward") for result in once.values()):
        raise NotJudged("no item got a reward")
    return f"{len(items)} items three times, the same verdicts"


def _renamed(item: reward_pb2.ScoreItem, item_id: str) -> reward_pb2.ScoreItem:
    copy = reward_pb2.ScoreItem()
    copy.CopyFrom(item)
    copy.id = item_id
    return copy


def _compare(
    items: Sequence[reward_pb2.ScoreItem],
    first: dict[str, reward_pb2.ScoreResult],
    second: dict[str, reward_pb2.ScoreResult],
) -> None:
    for item in items:
        if not is_same(first[item.id], second[item.id]):
            raise Broken(f"{shown(first[item.id])} and {shown(second[item.id])} for one item")


CHECKS = (repeated_request, reused_request_id, same_verdict)

"""Batches: their sizes, their ids, and items that say little or much."""

from __future__ import annotations

from collections import Counter

from google.protobuf.duration_pb2 import Duration

from trimtab.common.v1.message_pb2 import Message, ToolCall
from trimtab.common.v1.outcome_pb2 import OUTCOME_VERIFIER_ERROR
from trimtab.conformance.model import Broken, Level, NotJudged, check
from trimtab.conformance.neighbours import beside_ordinary
from trimtab.conformance.peer import Peer, Refused
from trimtab.conformance.verdicts import shown
from trimtab.reward.v1 import reward_pb2

_BATCH = "an empty batch is fine and gives none"
_OPTIONAL = "Every field but `id` may be omitted."
_ALONE = "A failure of one item never fails the call: the item's result says what happened."


@check(
    "empty-batch",
    level=Level.REQUIRED,
    contract=_BATCH,
    mend="Answer a request without items with OK and no results.",
)
async def empty_batch(peer: Peer) -> str:
    """Sends no items."""
    results = await peer.score([], is_matched=False)
    if results:
        raise Broken(f"{len(results)} results to no items")
    return "no results"


@check(
    "one-item",
    level=Level.REQUIRED,
    contract="Results come in request order, one per item whatever happened to it",
    mend="Answer a request of one item with one result.",
)
async def one_item(peer: Peer) -> str:
    """Sends one."""
    [item] = peer.items.plain(1)
    answers = await peer.answers([item])
    return shown(answers[item.id])


@check(
    "most-items",
    level=Level.REQUIRED,
    contract="At most 10,000 items.",
    mend="Take 10,000 items in one call, or tell a lower max_items in GetInfo.",
    is_heavy=True,
)
async def most_items(peer: Peer) -> str:
    """Sends as many as a call may hold."""
    items = peer.items.plain(peer.max_items)
    try:
        results = await peer.score(items, is_matched=False)
    except Refused as refused:
        if refused.code == "DEADLINE_EXCEEDED":
            within = f"within {peer.options.timeout_s:g} s"
            raise NotJudged(f"no answer to {len(items)} items {within}: see deadline") from refused
        raise
    if Counter(item.id for item in items) != Counter(result.id for result in results):
        raise Broken(f"{len(results)} results that do not match {len(items)} items")
    peer.laws.note_batch(items, results, peer.where)
    return f"{len(items)} items, {len(items)} results"


@check(
    "too-many-items",
    level=Level.RECOMMENDED,
    contract="a duplicate id or too many items (INVALID_ARGUMENT)",
    mend="Refuse more than max_items with INVALID_ARGUMENT, so that no caller fills the memory.",
    is_heavy=True,
)
async def too_many_items(peer: Peer) -> str:
    """Sends one more."""
    items = peer.items.plain(peer.max_items + 1)
    try:
        await peer.score(items, is_matched=False)
    except Refused as refused:
        if refused.code != "INVALID_ARGUMENT":
            raise
        return f"{len(items)} items: {refused.code} {refused.reason}"
    raise Broken(f"{len(items)} items were taken")


@check(
    "duplicate-ids",
    level=Level.REQUIRED,
    contract="a duplicate id or too many items (INVALID_ARGUMENT)",
    mend="Refuse a request in which an id comes twice with INVALID_ARGUMENT: its results could "
    "not be told apart.",
)
async def duplicate_ids(peer: Peer) -> str:
    """Sends an id twice, with items between them."""
    items = peer.items.plain(5)
    items[4].id = items[0].id
    try:
        await peer.score(items, is_matched=False)
    except Refused as refused:
        if refused.code != "INVALID_ARGUMENT":
            raise
        return f"{refused.code} {refused.reason}".strip()
    raise Broken("the call was answered")


@check(
    "only-an-id",
    level=Level.REQUIRED,
    contract=_OPTIONAL,
    mend="Treat fields that are not set as empty: no prompt, no response, no references.",
)
async def only_an_id(peer: Peer) -> str:
    """Sends items that hold nothing else, the verifier perhaps."""
    items = [peer.items.one() for _ in range(3)]
    answers = await peer.answers(items)
    return shown(answers[items[0].id])


@check(
    "every-field",
    level=Level.REQUIRED,
    contract=_ALONE,
    mend="Ignore fields that the verifier has no use for.",
)
async def every_field(peer: Peer) -> str:
    """Sends an item that holds everything but a version between ordinary ones."""
    [full] = peer.items.plain(1)
    full.prompt, full.group_id = "How much is it?", "group-1"
    full.timeout.CopyFrom(Duration(seconds=20))
    full.metadata.update(
        {"": None, "deep": {"list": [1, "two", {"three": [True, None, 1e308]}]}, "token_count": 12}
    )
    call = ToolCall(id="1", name="add", arguments_json='{"a": 1}')
    full.messages.extend(
        [
            Message(role="user", content="How much is it?", name="somebody"),
            Message(role="assistant", tool_calls=[call]),
            Message(role="tool", tool_call_id="1", name="add", content="7"),
            Message(role="a role of its own"),
        ]
    )
    return shown((await beside_ordinary(peer, [full]))[full.id])


@check(
    "unknown-fields",
    level=Level.REQUIRED,
    contract=_ALONE,
    mend="Ignore fields that the server's version of the contract does not know: newer callers "
    "send them.",
)
async def unknown_fields(peer: Peer) -> str:
    """Sends what a later version of the contract might: unknown fields in items."""
    # Field 2000 as a number, field 2001 as a text, field 2002 as a double.
    extra = bytes.fromhex("807d01 8a7d0568656c6c6f 917d000000000000f03f")
    items = [
        reward_pb2.ScoreItem.FromString(item.SerializeToString() + extra)
        for item in peer.items.plain(3)
    ]
    answers = await peer.answers(items)
    return shown(answers[items[0].id])


@check(
    "unknown-verifier",
    level=Level.REQUIRED,
    contract="The verifier failed, is not known, or broke the contract.",
    mend="Answer an item that names a verifier that is not offered with VERIFIER_ERROR and cause "
    "MACHINERY; judged by another one it would get a reward that nobody asked for.",
)
async def unknown_verifier(peer: Peer) -> str:
    """Sends an item for a verifier that cannot be between ordinary ones."""
    [unknown] = peer.items.plain(1)
    unknown.verifier = "no-such-verifier"
    result = (await beside_ordinary(peer, [unknown]))[unknown.id]
    if result.outcome != OUTCOME_VERIFIER_ERROR:
        raise Broken(f"{shown(result)} for verifier 'no-such-verifier'")
    return "VERIFIER_ERROR for its item"


@check(
    "other-version",
    level=Level.REQUIRED,
    contract="the version that must judge; another one gives VERIFIER_ERROR",
    mend="Compare verifier_version with the version that GetInfo tells, so that no run is judged "
    "by two.",
)
async def other_version(peer: Peer) -> str:
    """Asks for a version that cannot be, and for the one that is told."""
    offered = list(peer.info.verifiers) if peer.info else []
    wanted = peer.options.verifier
    offer = next((v for v in offered if not wanted or v.name == wanted), None)
    if offer is None or not offer.version:
        raise NotJudged("the server tells no version of this verifier")
    right, wrong = peer.items.plain(2)
    right.verifier_version, wrong.verifier_version = offer.version, "no-such-version"
    answers = await peer.answers([right, wrong])
    if answers[wrong.id].outcome != OUTCOME_VERIFIER_ERROR:
        raise Broken(f"{shown(answers[wrong.id])} for version 'no-such-version'")
    if answers[right.id].outcome == OUTCOME_VERIFIER_ERROR:
        raise Broken(f"{shown(answers[right.id])} for {offer.version}, which GetInfo tells")
    return f"VERIFIER_ERROR for another version than {offer.version}"


CHECKS = (
    empty_batch,
    one_item,
    most_items,
    too_many_items,
    duplicate_ids,
    only_an_id,
    every_field,
    unknown_fields,
    unknown_verifier,
    other_version,
)

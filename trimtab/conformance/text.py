"""Odd but valid Unicode: harmless in texts, untouched in ids."""

from __future__ import annotations

from collections.abc import Mapping

from trimtab.conformance.model import Broken, Level, check
from trimtab.conformance.neighbours import beside_ordinary
from trimtab.conformance.peer import Peer, Refused
from trimtab.reward.v1 import reward_pb2

ODD: Mapping[str, str] = {
    "a NUL": "a\x00b",
    "control characters": "".join(map(chr, range(1, 32))) + "\x7f\x85\x9f",
    "a byte order mark": "\ufeff7",
    "characters beyond the basic plane": "\U0001d7d5\U0001f9ee\U00020000",
    "an emoji of several code points": "\U0001f469\u200d\U0001f52c\ufe0f\U0001f1e9\U0001f1ea",
    "combining marks": "7" + "\u0301\u0327\u20d2" * 50,
    "right-to-left text": "\u05d4\u05ea\u05e9\u05d5\u05d1\u05d4 \u0661\u0662",
    "direction overrides": "\u202e7\u202d\u2066x\u2069",
    "invisible characters": "\u200b\u200c\u2060\u00ad\u034f\u180e",
    "line separators": "a\u2028b\u2029c\x0b\x0c\rd\r\n",
    "noncharacters": "\uffff\ufffe\ufdd0\U0010ffff",
    "private use": "\ue000\U000f0000\U0010fffd",
    "the replacement character": "\ufffd",
    "tags": "\U000e0001\U000e0061\U000e007f",
    "digits of other scripts": "\u0967\u0968 \u0e57 \uff17 \u2466 \u00bd",
}
"""Texts by what is odd about them."""

ODD_IDS = (
    " ", "a b", "0", "00", "a\x00", "a", "\ufeffa", "\u00e9", "e\u0301", "\u202ea", "\U0001f9ee",
    "A", "a/b?c=%41&d", "'; -- \"", "line\nbreak", "\uffff", "null", "None", "true", "1e3", "1000",
    "-1", "\u0130", "i\u0307", "\u00df", "ss", "x" * 2000, "x" * 2001, "\u212b", "\u00c5",
)  # fmt: skip
"""Ids of which some pairs are equal to whoever trims, folds or normalises them."""


@check(
    "odd-text",
    level=Level.REQUIRED,
    contract="A failure of one item never fails the call: the item's result says what happened.",
    mend="Take any valid UTF-8 in every text; where a library cannot, let that item alone fail.",
)
async def odd_text(peer: Peer) -> str:
    """Sends each odd text in every field that holds text, between ordinary items."""
    odd = {name: _item(peer, text) for name, text in ODD.items()}
    try:
        await beside_ordinary(peer, list(odd.values()))
    except Refused as refused:
        raise Broken(f"{await _culprit(peer, odd)}: the call failed: {refused}") from refused
    return f"{len(odd)} kinds of text, all answered"


def _item(peer: Peer, text: str) -> reward_pb2.ScoreItem:
    item = peer.items.one(response=rf"{text} \boxed{{7{text}}} {text}", references=[text, "7"])
    item.prompt = item.group_id = text
    item.metadata.update({text: text, "list": [text]})
    item.messages.add(role="user", content=text, name=text)
    return item


async def _culprit(peer: Peer, odd: Mapping[str, reward_pb2.ScoreItem]) -> str:
    """Which texts make a call fail when they are sent by themselves."""
    failing = []
    for name, item in odd.items():
        try:
            await peer.score([item], is_matched=False)
        except Refused:
            failing.append(name)
    return ", ".join(failing) or "all kinds together"


@check(
    "odd-ids",
    level=Level.REQUIRED,
    contract="Set by the server; the item's id.",
    mend="Give ids back as they came: no trimming, no normalising, no folding of case, and "
    "compare them code point by code point.",
)
async def odd_ids(peer: Peer) -> str:
    """Sends ids that are alike but not equal, and looks at what comes back."""
    items = peer.items.plain(len(ODD_IDS))
    for item, item_id in zip(items, ODD_IDS, strict=True):
        item.id = item_id
    results = await peer.score(items, is_matched=False)
    found = [result.id for result in results]
    if sorted(found) != sorted(ODD_IDS):
        lost = [name for name in ODD_IDS if name not in found]
        shown_ids = ", ".join(f"{name[:20]!a}" for name in lost[:5])
        raise Broken(f"{len(found)} results to {len(ODD_IDS)} ids; not among them: {shown_ids}")
    return f"{len(found)} ids as they were sent"


CHECKS = (odd_text, odd_ids)

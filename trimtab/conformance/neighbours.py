"""Sends special items between ordinary ones, which must not suffer."""

from __future__ import annotations

from collections.abc import Sequence

from trimtab.conformance.model import Broken
from trimtab.conformance.peer import Peer
from trimtab.conformance.verdicts import is_judged, is_same, shown
from trimtab.reward.v1 import reward_pb2


async def beside_ordinary(
    peer: Peer, special: Sequence[reward_pb2.ScoreItem]
) -> dict[str, reward_pb2.ScoreResult]:
    """The results by id of a call in which ordinary items stand around the special ones.

    Raises:
        Broken: an ordinary item is not judged as it is without them.
        Refused: the call failed.
        NotJudged: the results do not match the items.
    """
    ordinary = peer.items.plain(len(special) + 1)
    alone = await peer.answers(ordinary)
    batch = [ordinary[0]]
    for item, neighbour in zip(special, ordinary[1:], strict=True):
        batch += [item, neighbour]
    answers = await peer.answers(batch)
    for item in ordinary:
        before, after = alone[item.id], answers[item.id]
        if not is_same(before, after) or (is_judged(before) and not is_judged(after)):
            raise Broken(f"a neighbour is {shown(before)} without such items, {shown(after)} here")
    return answers

"""The laws as checks: what was wrong with any result of any call."""

from __future__ import annotations

from trimtab.conformance.laws import IN_ORDER, ONE_EACH
from trimtab.conformance.model import Broken, Check, Level, NotJudged
from trimtab.conformance.peer import Peer, Refused

_EACH = "Results come in request order, one per item whatever happened to it"
_REWARDED = "CORRECT, INCORRECT, NO_ANSWER and SCORED carry a reward; all others carry none"
_REWARD = "Set by the server if and only if the outcome carries a reward; finite."


async def survey(peer: Peer) -> None:
    """Sends one item of every kind, so that the laws have something to look at."""
    try:
        await peer.score(peer.items.survey())
    except Refused:
        return  # which item it was that fails calls, other checks find out


def _law(name: str, *, contract: str, mend: str) -> Check:
    async def run(peer: Peer) -> str:
        breaches = peer.laws.breaches[name]
        if breaches.count:
            more = "" if breaches.count == 1 else f"{breaches.count} times: "
            raise Broken(more + "; ".join(breaches.examples))
        if name in (ONE_EACH, IN_ORDER):
            if not peer.laws.batch_count:
                raise NotJudged("no batch was answered")
            return f"in all {peer.laws.batch_count} batches"
        if not peer.laws.result_count:
            raise NotJudged("no result came")
        return f"in all {peer.laws.result_count} results"

    return Check(name=name, level=Level.REQUIRED, contract=contract, mend=mend, run=run)


CHECKS = (
    _law(
        ONE_EACH,
        contract=_EACH,
        mend="Give one result per item whatever happened to it; an item that fails gets an "
        "outcome that says so.",
    ),
    _law(IN_ORDER, contract=_EACH, mend="Sort the results by the places of their items."),
    _law(
        "known-outcome",
        contract="Set by the server; what became of the item. Always set.",
        mend="Set one of the outcomes that trimtab.common.v1 names.",
    ),
    _law(
        "reward-by-outcome",
        contract=_REWARDED,
        mend="Set reward for CORRECT, INCORRECT, NO_ANSWER and SCORED, also where it is 0, and "
        "never for the others: a failure of the machinery is no reward of 0.",
    ),
    _law(
        "finite-reward",
        contract=_REWARD,
        mend="Answer VERIFIER_ERROR without a reward where the verifier gives NaN or infinity.",
    ),
    _law(
        "finite-parts",
        contract="Set by the verifier; the part's reward, finite.",
        mend="Leave out components and spans that are not finite.",
    ),
    _law(
        "spans-fit",
        contract="Index of the part's first Unicode code point in `response` as sent.",
        mend="Count Unicode code points, neither bytes nor UTF-16 units, in the response as sent.",
    ),
    _law(
        "cause",
        contract="Set by the server; who is to blame. Omitted: the outcome carries a reward.",
        mend="Set cause for every outcome without a reward, and for no other: ITEM for the item's "
        "own limit or crash, MACHINERY for everything else, INVALID_REFERENCE and UNAVAILABLE "
        "included.",
    ),
    _law(
        "confidence",
        contract="how sure the verifier is, in [0, 1]",
        mend="Scale confidence to [0, 1], or leave it out.",
    ),
    _law(
        "elapsed",
        contract="Set by the server; time spent on this item. Omitted: none.",
        mend="Set elapsed to a time that is not negative, its nanos below one second.",
    ),
)

"""What refusals tell besides their status. Looks at every call that was refused in other checks."""

from __future__ import annotations

import contextlib

from trimtab.conformance.model import Broken, Level, NotJudged, check
from trimtab.conformance.peer import Peer, Refused

_REFUSALS = ("INVALID_ARGUMENT", "RESOURCE_EXHAUSTED")


@check(
    "error-info",
    level=Level.RECOMMENDED,
    contract="A call fails only for what concerns all of it, with google.rpc.ErrorInfo",
    mend="Attach google.rpc.ErrorInfo with a reason, as DUPLICATE_ID, to the status (the trailer "
    "grpc-status-details-bin), so that programs need not read messages.",
)
async def error_info(peer: Peer) -> str:
    """Looks for reasons."""
    twins = peer.items.plain(2)
    twins[1].id = twins[0].id
    with contextlib.suppress(Refused):
        await peer.score(twins, is_matched=False)
    refusals = [refusal for refusal in peer.refusals if refusal.code in _REFUSALS]
    if not refusals:
        raise NotJudged("no call was refused")
    without = [refusal for refusal in refusals if not refusal.reason]
    if without:
        raise Broken(f"{len(without)} of {len(refusals)} refusals without a reason: {without[0]}")
    return f"reasons {', '.join(sorted({refusal.reason for refusal in refusals}))}"


@check(
    "retry-delay",
    level=Level.RECOMMENDED,
    contract="a full queue (RESOURCE_EXHAUSTED, the latter with a retry delay)",
    mend="Attach google.rpc.RetryInfo to the RESOURCE_EXHAUSTED of a full queue, so that callers "
    "know when to come again.",
)
async def retry_delay(peer: Peer) -> str:
    """Looks for delays in the refusals of the overload."""
    refusals = [
        refusal
        for refusal in peer.refusals
        if refusal.where == "overload" and refusal.code == "RESOURCE_EXHAUSTED"
    ]
    if not refusals:
        raise NotJudged("the queue was never full")
    delays = [refusal.retry_delay_s for refusal in refusals if refusal.retry_delay_s]
    if len(delays) < len(refusals):
        raise Broken(f"{len(refusals) - len(delays)} of {len(refusals)} refusals without a delay")
    return f"{min(delays):g} to {max(delays):g} s"


CHECKS = (error_info, retry_delay)

"""Has a second verifier judge a share of what the first has judged, and compares."""

from __future__ import annotations

import asyncio
import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import replace

from reward_server.metrics import count_audit, set_disagreement
from reward_server.results import Result, Work
from reward_server.verifiers.base import Item, Verdict
from trimtab.server.logs import get_logger

MAX_IN_FLIGHT = 16
"""Audits at a time; what comes on top is dropped."""
_log = get_logger("reward.audit")


class Auditor:
    """Audits results once they are known; those of the audited verifier never wait for it."""

    def __init__(
        self,
        begin: Callable[[Item], Result | Work],
        *,
        of: str,
        auditor: str,
        share: float,
        default: str,
        is_idle: Callable[[], bool],
    ) -> None:
        """`auditor` judges `share` of the items of the verifier `of`, where `is_idle` says so.

        `default` judges items that name no verifier.
        """
        self._begin = begin
        self._verifier = of
        self._names = {of, ""} if of == default else {of}
        self._auditor = auditor
        self._threshold = int(share * 2**64)
        self._is_idle = is_idle
        self._works: set[Work] = set()
        self._agreed_count = 0
        self._disagreed_count = 0

    def look_at(self, items: Sequence[Item], results: Sequence[Result]) -> None:
        """Takes in the result of each item; returns at once."""
        for item, result in zip(items, results, strict=True):
            if item.verifier not in self._names or result.verdict.reward is None:
                continue
            digest = _digest(item)
            if int.from_bytes(digest[:8], "big") < self._threshold:
                # After the answer is on its way: judging may take its time.
                asyncio.get_running_loop().call_soon(self._audit, item, result.verdict, digest)

    def close(self) -> None:
        """Gives up what is under way."""
        for work in list(self._works):
            work.cancel()

    def _audit(self, item: Item, verdict: Verdict, digest: bytes) -> None:
        if len(self._works) >= MAX_IN_FLIGHT or not self._is_idle():
            count_audit(self._verifier, self._auditor, "dropped")
            return
        begun = self._begin(replace(item, verifier=self._auditor, verifier_version=None))
        if isinstance(begun, Result):
            self._compare(verdict, begun, digest)
            return
        work = begun
        self._works.add(work)

        def finish(done: asyncio.Future[object]) -> None:
            self._works.discard(work)
            if not done.cancelled():
                self._compare(verdict, work.result(), digest)

        work.future.add_done_callback(finish)

    def _compare(self, verdict: Verdict, second: Result, digest: bytes) -> None:
        first_reward, second_reward = verdict.reward, second.verdict.reward
        if first_reward is None or second_reward is None:
            count_audit(self._verifier, self._auditor, "undecided")
            return
        agreed = math.isclose(first_reward, second_reward, abs_tol=1e-9)
        self._agreed_count += agreed
        self._disagreed_count += not agreed
        count_audit(self._verifier, self._auditor, "agrees" if agreed else "disagrees")
        judged_count = self._agreed_count + self._disagreed_count
        set_disagreement(self._verifier, self._auditor, self._disagreed_count / judged_count)
        if not agreed:
            _log.warning(
                "verifiers disagree",
                digest=digest.hex(),
                verifier=self._verifier,
                outcome=verdict.outcome.value,
                auditor=self._auditor,
                second_outcome=second.verdict.outcome.value,
            )


def _digest(item: Item) -> bytes:
    """Of what is judged, whatever its id, so that the same items are sampled everywhere."""
    whole = hashlib.blake2b(digest_size=16)
    for text in (item.response, *item.references):
        encoded = text.encode("utf-8", "surrogatepass")
        whole.update(len(encoded).to_bytes(8, "big") + encoded)
    return whole.digest()

"""The way to one verifier: calls in bounded number, retried while the server is out of reach."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Sequence

import tenacity

from trimtab.client.reward import Item, RewardClient
from trimtab.common.v1 import outcome_pb2
from trimtab.config.routes import RouteConfig
from trimtab.errors import RemoteError
from trimtab.outcomes import checked, failed
from trimtab.reward.v1 import reward_pb2

AnyItem = Item | reward_pb2.ScoreItem
# A server that drains answers calls that race with its end as CANCELLED.
_MENDABLE = frozenset({"UNAVAILABLE", "RESOURCE_EXHAUSTED", "CANCELLED"})


def _is_mendable(error: BaseException) -> bool:
    """Trouble of the transport, or a full queue; never the server's own word on the items."""
    return (
        isinstance(error, RemoteError)
        and error.code in _MENDABLE
        and error.reason != "MESSAGE_TOO_LARGE"
    )


class Route:
    """Scores items with one verifier on one reward server."""

    def __init__(self, name: str, config: RouteConfig, *, own_target: str) -> None:
        """`own_target` is used where the config names no target."""
        self.name = name
        self.verifier = config.verifier or name
        self._config = config
        self._client = RewardClient(config.target or own_target, tls=config.tls)
        self._slots = asyncio.Semaphore(config.max_in_flight)

    @property
    def target(self) -> str:
        """Where the verifier is offered."""
        return self._client.target

    async def score(
        self, items: Sequence[AnyItem], *, deadline_s: float | None = None
    ) -> list[reward_pb2.ScoreResult]:
        """One result per item in order, each keeping to the contract; never raises for a peer.

        `deadline_s` bounds the whole, retries included; None: the route's own patience.
        """
        ends_s = None if deadline_s is None else time.monotonic() + deadline_s
        size = self._config.batch_size
        batches = [items[start : start + size] for start in range(0, len(items), size)]
        scored = await asyncio.gather(*(self._batch(batch, ends_s) for batch in batches))
        return [result for batch in scored for result in batch]

    async def _batch(
        self, items: Sequence[AnyItem], ends_s: float | None
    ) -> list[reward_pb2.ScoreResult]:
        try:
            async with asyncio.timeout(_left_s(ends_s)):
                await self._slots.acquire()
        except TimeoutError:
            detail = f"no call to {self.target} could begin before the deadline"
            return [failed(item.id, outcome_pb2.OUTCOME_UNAVAILABLE, detail) for item in items]
        try:
            results = await self._retried(items, ends_s)
        except RemoteError as error:
            return [_unreachable(item, error) for item in items]
        finally:
            self._slots.release()
        return self._matched(items, results)

    async def _retried(
        self, items: Sequence[AnyItem], ends_s: float | None
    ) -> list[reward_pb2.ScoreResult]:
        request_id = uuid.uuid4().hex

        async def attempt() -> list[reward_pb2.ScoreResult]:
            timeout_s = _shorter(self._config.timeout_s, _left_s(ends_s))
            return await self._client.score(items, timeout_s=timeout_s, request_id=request_id)

        retrying = tenacity.AsyncRetrying(
            retry=tenacity.retry_if_exception(_is_mendable),
            wait=tenacity.wait_random_exponential(multiplier=0.1, max=2.0),
            stop=tenacity.stop_before_delay(_shorter(self._config.patience_s, _left_s(ends_s))),
            reraise=True,
        )
        return await retrying(attempt)

    def _matched(
        self, items: Sequence[AnyItem], results: Sequence[reward_pb2.ScoreResult]
    ) -> list[reward_pb2.ScoreResult]:
        """The results in the items' order, what the server left out or muddled marked as such."""
        ids = [item.id for item in items]
        if [result.id for result in results] == ids:
            return [checked(result) for result in results]
        detail = f"{self.target} answered {len(results)} results that do not match {len(ids)} items"
        return [failed(item.id, outcome_pb2.OUTCOME_VERIFIER_ERROR, detail) for item in items]

    async def get_info(self, *, timeout_s: float) -> reward_pb2.GetInfoResponse:
        """What the server offers.

        Raises:
            RemoteError: it cannot be reached.
        """
        return await self._client.get_info(timeout_s=timeout_s)

    async def close(self) -> None:
        """Closes the connections."""
        await self._client.close()


def _left_s(ends_s: float | None) -> float | None:
    return None if ends_s is None else max(ends_s - time.monotonic(), 0.0)


def _shorter(limit_s: float, left_s: float | None) -> float:
    return limit_s if left_s is None else min(limit_s, left_s)


def _unreachable(item: AnyItem, error: RemoteError) -> reward_pb2.ScoreResult:
    timed_out = error.code == "DEADLINE_EXCEEDED"
    outcome = outcome_pb2.OUTCOME_TIMED_OUT if timed_out else outcome_pb2.OUTCOME_UNAVAILABLE
    return failed(item.id, outcome, str(error))

"""Sends rows to a reward server in batches, a bounded number at once."""

from __future__ import annotations

import asyncio
import uuid
from collections import deque
from collections.abc import AsyncGenerator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import tenacity

from trimtab.client.reward import Item, RewardClient
from trimtab.common.v1 import outcome_pb2
from trimtab.errors import ConfigError, RemoteError, TrimtabError
from trimtab.reward.v1 import reward_pb2
from trimtab.router.outcomes import checked, outcome_name
from trimtab.scoring.rows import Row

_MENDABLE = frozenset({"UNAVAILABLE", "RESOURCE_EXHAUSTED"})
_TIMEOUT_S = 600.0
_PATIENCE_S = 60.0
_BATCH_CHARACTERS = 2 << 20
"""Keeps a batch far below the 16 MiB of a message: a character takes at most 4 bytes."""
_ROW_CHARACTERS = 3 << 20


@dataclass(frozen=True, slots=True)
class Verdicts:
    """A batch's verdicts."""

    rows: list[dict[str, Any]]
    """One a row, in order, with the columns of the output."""
    position: int
    """Where the reader stood after the last of them."""


class Scoring:
    """Scores rows with one verifier of one server."""

    def __init__(
        self, client: RewardClient, *, verifier: str = "", batch: int = 64, in_flight: int = 4
    ) -> None:
        """An empty `verifier` is the server's first; `in_flight` batches travel at once."""
        self._client = client
        self._verifier = verifier
        self._batch = batch
        self._in_flight = in_flight

    async def check_verifier(self) -> None:
        """Returns if the server offers the verifier.

        Raises:
            ConfigError: it does not; names those that it offers.
            RemoteError: the server does not answer.
        """
        offered = [verifier.name for verifier in (await self._client.get_info()).verifiers]
        if self._verifier and self._verifier not in offered:
            raise ConfigError(
                f"{self._client.target} offers no verifier {self._verifier!r}, "
                f"only {', '.join(offered)}"
            )

    async def verdicts(self, rows: Iterator[Row]) -> AsyncGenerator[Verdicts, None]:
        """Verdicts in the order of the rows; no more is read than may be under way.

        Raises:
            ConfigError: a row does not hold.
            RemoteError: the server refuses a batch, or stays out of reach.
        """
        waiting: deque[asyncio.Task[Verdicts]] = deque()
        try:
            for batch in self._batches(rows):
                waiting.append(asyncio.create_task(self._score(batch)))
                if len(waiting) >= self._in_flight:
                    yield await waiting.popleft()
            while waiting:
                yield await waiting.popleft()
        finally:
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)

    def _batches(self, rows: Iterator[Row]) -> Iterator[list[Row]]:
        batch: list[Row] = []
        size = 0
        for row in rows:
            row_size = _size(row)
            if batch and (len(batch) >= self._batch or size + row_size > _BATCH_CHARACTERS):
                yield batch
                batch, size = [], 0
            batch.append(row)
            size += row_size
        if batch:
            yield batch

    async def _score(self, rows: Sequence[Row]) -> Verdicts:
        sent = [row for row in rows if _size(row) <= _ROW_CHARACTERS]
        items = [
            Item(
                id=str(row.number),
                response=row.response,
                references=row.references,
                verifier=self._verifier,
            )
            for row in sent
        ]
        results = await self._called(items) if items else []
        if [result.id for result in results] != [item.id for item in items]:
            raise TrimtabError(
                f"{self._client.target} broke the contract: its {len(results)} results do not "
                f"match {len(items)} items"
            )
        by_id = {result.id: checked(result) for result in results}
        verdicts = [_verdict(row, by_id.get(str(row.number)) or _too_large(row)) for row in rows]
        return Verdicts(verdicts, rows[-1].position)

    async def _called(self, items: Sequence[Item]) -> list[reward_pb2.ScoreResult]:
        request_id = uuid.uuid4().hex
        retrying = tenacity.AsyncRetrying(
            retry=tenacity.retry_if_exception(_is_mendable),
            wait=tenacity.wait_random_exponential(multiplier=0.1, max=2.0),
            stop=tenacity.stop_before_delay(_PATIENCE_S),
            reraise=True,
        )
        results: list[reward_pb2.ScoreResult] = await retrying(
            self._client.score, items, timeout_s=_TIMEOUT_S, request_id=request_id
        )
        return results


def _is_mendable(error: BaseException) -> bool:
    return (
        isinstance(error, RemoteError)
        and error.code in _MENDABLE
        and error.reason != "MESSAGE_TOO_LARGE"
    )


def _size(row: Row) -> int:
    return len(row.response) + sum(len(reference) for reference in row.references)


def _too_large(row: Row) -> reward_pb2.ScoreResult:
    """What a server says of such a row, if it could be sent at all."""
    return reward_pb2.ScoreResult(
        id=str(row.number),
        outcome=outcome_pb2.OUTCOME_RESOURCE_EXHAUSTED,
        cause=outcome_pb2.CAUSE_ITEM,
        detail=f"{_size(row)} characters are too many for one message; it was not sent",
    )


def _verdict(row: Row, result: reward_pb2.ScoreResult) -> dict[str, Any]:
    cause = outcome_pb2.Cause.Name(result.cause).removeprefix("CAUSE_").lower()
    return {
        "row": row.number,
        "outcome": outcome_name(result.outcome),
        "reward": result.reward if result.HasField("reward") else None,
        "extracted_answer": result.extracted_answer,
        "detail": result.detail,
        "cause": "" if cause == "unspecified" else cause,
        "verifier_version": result.verifier_version,
        "elapsed_s": result.elapsed.ToNanoseconds() / 1e9,
    }

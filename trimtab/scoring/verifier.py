"""Judges rows with one verifier of one reward server."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

import tenacity

from trimtab.client.reward import Item, RewardClient
from trimtab.common.v1 import outcome_pb2
from trimtab.errors import ConfigError, RemoteError, TrimtabError
from trimtab.outcomes import checked
from trimtab.reward.v1 import reward_pb2
from trimtab.scoring.pipeline import Judged
from trimtab.scoring.rows import Row
from trimtab.scoring.verdicts import Verdict, verdict_of

_MENDABLE = frozenset({"UNAVAILABLE", "RESOURCE_EXHAUSTED", "CANCELLED"})
_TIMEOUT_S = 600.0
_PATIENCE_S = 60.0
_FRUITLESS_ROUNDS = 2
_MOST_ROW_CHARACTERS = 3 << 20


class VerifierChanged(ConfigError):
    """The server judges with another version than at the beginning."""


class Verifier:
    """A verifier that a server offers."""

    def __init__(self, client: RewardClient, info: reward_pb2.VerifierInfo) -> None:
        """Use `find`."""
        self._client = client
        self.name = info.name
        """As the server offers it."""
        self.version = info.version
        """Its version; empty where the server does not say, as for one behind a route."""
        self._known_versions = {"", info.version}

    @classmethod
    async def find(cls, client: RewardClient, name: str = "") -> Verifier:
        """The verifier of that name; an empty name is the server's first.

        Raises:
            ConfigError: the server does not offer it; names those that it offers.
            RemoteError: the server does not answer.
        """
        offered = (await client.get_info()).verifiers
        if not offered and not name:
            return cls(client, reward_pb2.VerifierInfo())
        for info in offered:
            if name in ("", info.name):
                return cls(client, info)
        names = ", ".join(info.name for info in offered) or "none"
        raise ConfigError(f"{client.target} offers no verifier {name!r}, only {names}")

    async def judge(self, rows: Sequence[Row]) -> Judged:
        """As `verdicts`, with the rows."""
        return Judged(rows, await self.verdicts(rows))

    async def verdicts(self, rows: Sequence[Row]) -> list[Verdict]:
        """One verdict a row, in order.

        What no time was left for, or a call's deadline cut, is asked again while that helps.

        Raises:
            VerifierChanged: its version is not what it was.
            RemoteError: the server refuses the batch, or stays out of reach.
        """
        found = {row.number: _too_large(row) for row in rows if row.size > _MOST_ROW_CHARACTERS}
        fruitless = 0
        asked = [row for row in rows if row.number not in found]
        while asked and fruitless < _FRUITLESS_ROUNDS:
            results = await self._results(asked)
            found.update((row.number, result) for row, result in zip(asked, results, strict=True))
            still_open = [row for row in asked if _is_open(found[row.number])]
            fruitless = fruitless + 1 if len(still_open) == len(asked) else 0
            asked = still_open
        return [verdict_of(row.number, found[row.number]) for row in rows]

    async def _results(self, rows: Sequence[Row]) -> list[reward_pb2.ScoreResult]:
        items = [
            Item(
                id=str(row.number),
                response=row.response,
                references=row.references,
                verifier=self.name,
                prompt=row.prompt,
                metadata=row.metadata,
            )
            for row in rows
        ]
        results = await self._called(items)
        if [result.id for result in results] != [item.id for item in items]:
            raise TrimtabError(
                f"{self._client.target} broke the contract: its {len(results)} results do not "
                f"match {len(items)} items"
            )
        versions = {result.verifier_version for result in results}
        if not versions <= self._known_versions:
            await self._check_version()
            self._known_versions |= versions
        return [checked(result) for result in results]

    async def _check_version(self) -> None:
        """A server that was replaced offers another version; one that forwards may give any."""
        now = await Verifier.find(self._client, self.name)
        if now.version != self.version:
            raise VerifierChanged(
                f"{self._client.target} now judges with version {now.version} of {self.name}, "
                f"until now it was {self.version}: bring the old one back, or begin anew"
            )

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


def _is_open(result: reward_pb2.ScoreResult) -> bool:
    """True if asking again may bring a verdict."""
    if result.outcome == outcome_pb2.OUTCOME_UNAVAILABLE:
        return True
    timed_out = result.outcome == outcome_pb2.OUTCOME_TIMED_OUT
    return timed_out and result.cause == outcome_pb2.CAUSE_MACHINERY


def _too_large(row: Row) -> reward_pb2.ScoreResult:
    """What a server says of such a row, if it could be sent at all."""
    return reward_pb2.ScoreResult(
        id=str(row.number),
        outcome=outcome_pb2.OUTCOME_RESOURCE_EXHAUSTED,
        cause=outcome_pb2.CAUSE_ITEM,
        detail=f"{row.size} characters are too many for one message; it was not sent",
    )

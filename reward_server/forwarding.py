"""Passes items on to the reward servers that the config's `routes` name."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence

from reward_server.results import Result
from reward_server.verifiers.base import Cause, Item, Outcome, Verdict
from trimtab.common.v1 import outcome_pb2
from trimtab.config.routes import RouteConfig
from trimtab.reward.v1 import reward_pb2
from trimtab.router.route import Route


class RouteForwarder:
    """Has items judged by the servers behind `routes`."""

    def __init__(self, routes: Mapping[str, RouteConfig]) -> None:
        """Opens a route by each name; needs a running event loop."""
        self._routes = {name: Route(name, config, own_target="") for name, config in routes.items()}

    async def score(self, name: str, items: Sequence[Item], deadline_s: float) -> list[Result]:
        """One result per item, in order; trouble with the server makes items UNAVAILABLE."""
        route = self._routes[name]
        started_s = time.monotonic()
        results = await route.score(
            [_forwarded(item, route.verifier) for item in items], deadline_s=deadline_s
        )
        elapsed_s = time.monotonic() - started_s
        return [
            Result(
                id=item.id,
                verdict=_verdict(result),
                verifier_version=result.verifier_version,
                elapsed_s=elapsed_s,
                origin=result,
            )
            for item, result in zip(items, results, strict=True)
        ]

    async def close(self) -> None:
        """Closes all connections."""
        await asyncio.gather(*(route.close() for route in self._routes.values()))


def _forwarded(item: Item, verifier: str) -> reward_pb2.ScoreItem:
    """The item as it came, under the name that the other server knows."""
    forwarded = reward_pb2.ScoreItem()
    assert isinstance(item.origin, reward_pb2.ScoreItem)
    forwarded.CopyFrom(item.origin)
    forwarded.verifier = verifier
    return forwarded


def _verdict(result: reward_pb2.ScoreResult) -> Verdict:
    return Verdict(
        outcome=Outcome(outcome_pb2.Outcome.Name(result.outcome).removeprefix("OUTCOME_")),
        reward=result.reward if result.HasField("reward") else None,
        extracted_answer=result.extracted_answer,
        detail=result.detail,
        cause=Cause(outcome_pb2.Cause.Name(result.cause).removeprefix("CAUSE_")),
    )

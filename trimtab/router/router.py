"""Scores samples with all verifiers of a run."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from trimtab.client.reward import Item
from trimtab.config.run import RewardPeerConfig, RewardsConfig
from trimtab.errors import Reason, RemoteError, ServiceError
from trimtab.router.composition import SampleReward, compose
from trimtab.router.route import Route


@dataclass(frozen=True, slots=True, kw_only=True)
class Scorable:
    """A sample to score."""

    id: str
    """Unique in one call."""
    group_id: str
    """Samples of one prompt share it."""
    prompt: str
    """The prompt as text."""
    response: str
    """The sample's text."""
    references: Sequence[str]
    """Alternative right answers."""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    """Whatever else verifiers want to know."""


class RewardRouter:
    """Sends one item per sample and verifier to where the verifier is offered."""

    def __init__(self, rewards: RewardsConfig, own: RewardPeerConfig) -> None:
        """`own` is the run's own reward server, for verifiers that name no target."""
        self._rewards = rewards
        self._weights = {name: config.weight for name, config in rewards.verifiers.items()}
        self._routes = {
            name: Route(
                name,
                config
                if config.target or config.tls
                else config.model_copy(update={"tls": own.tls}),
                own_target=own.target,
            )
            for name, config in rewards.verifiers.items()
        }

    async def check(self, *, timeout_s: float) -> None:
        """Asks every server whether it offers its verifier.

        Raises:
            ServiceError: PEER_UNAVAILABLE, or CONFIG_INVALID for a verifier that is not offered.
        """
        for name, route in self._routes.items():
            try:
                info = await route.get_info(timeout_s=timeout_s)
            except RemoteError as error:
                raise ServiceError(
                    Reason.PEER_UNAVAILABLE,
                    f"the reward server for {name!r} does not answer: {error}",
                    field=f"rewards.{name}",
                ) from error
            offered = [verifier.name for verifier in info.verifiers]
            if route.verifier not in offered:
                raise ServiceError(
                    Reason.CONFIG_INVALID,
                    f"{route.target} offers no verifier {route.verifier!r}, only "
                    f"{', '.join(offered)}",
                    field=f"rewards.{name}",
                )

    async def score(self, samples: Sequence[Scorable]) -> list[SampleReward]:
        """One reward per sample in order. Trouble with a server makes samples invalid, no error."""
        if not samples:
            return []
        by_verifier = await asyncio.gather(
            *(
                route.score([_item(sample, route.verifier) for sample in samples])
                for route in self._routes.values()
            )
        )
        return [
            compose(
                dict(zip(self._routes, results, strict=True)),
                self._weights,
                self._rewards.on_item_failure,
            )
            for results in zip(*by_verifier, strict=True)
        ]

    async def close(self) -> None:
        """Closes all connections."""
        await asyncio.gather(*(route.close() for route in self._routes.values()))


def _item(sample: Scorable, verifier: str) -> Item:
    return Item(
        id=sample.id,
        verifier=verifier,
        prompt=sample.prompt,
        response=sample.response,
        references=sample.references,
        group_id=sample.group_id,
        metadata=sample.metadata,
    )

"""Client of a RewardService, ours or anybody's."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from google.protobuf.struct_pb2 import Struct

from trimtab.client.base import ServiceClient
from trimtab.client.channel import Tls
from trimtab.reward.v1 import reward_pb2
from trimtab.reward.v1.reward_pb2_grpc import RewardServiceStub

_SURROGATE = re.compile("[\ud800-\udfff]")
_REPLACED = "lone surrogates were replaced by U+FFFD before sending"


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One response to judge."""

    id: str
    """Unique in one call."""
    response: str
    """The text to judge."""
    references: Sequence[str] = ()
    """Alternative right answers."""
    verifier: str = ""
    """Name of the verifier; empty: the server's first."""
    prompt: str = ""
    """The prompt as text."""
    group_id: str = ""
    """Samples of one prompt share it."""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    """Whatever else the verifier wants to know, as JSON values."""
    timeout_s: float | None = None
    """Time limit; None: the server's."""


class RewardClient(ServiceClient):
    """Calls one reward server, or several behind one name."""

    def __init__(self, target: str, *, tls: Tls | None = None) -> None:
        """`target` is a gRPC target; calls go to its addresses in turn."""
        super().__init__(target, tls=tls, balancing="round_robin")
        self._stub = RewardServiceStub(self._channel)

    async def score(
        self,
        items: Sequence[Item | reward_pb2.ScoreItem],
        *,
        timeout_s: float,
        request_id: str = "",
    ) -> list[reward_pb2.ScoreResult]:
        """One result per item, as the server gives them.

        Raises:
            RemoteError: the call failed as a whole.
        """
        sent = [score_item(item) for item in items]
        request = reward_pb2.ScoreRequest(request_id=request_id, items=[proto for proto, _ in sent])
        response = await self.call(request, timeout_s=timeout_s)
        replaced = {proto.id for proto, was_replaced in sent if was_replaced}
        for result in response.results:
            if result.id in replaced:
                result.detail = f"{result.detail}; {_REPLACED}" if result.detail else _REPLACED
        return list(response.results)

    async def call(
        self, request: reward_pb2.ScoreRequest, *, timeout_s: float
    ) -> reward_pb2.ScoreResponse:
        """The reply to a request as it stands.

        Raises:
            RemoteError: the call failed as a whole.
        """
        return await self._result(self._stub.Score(request, timeout=timeout_s))

    async def get_info(self, *, timeout_s: float = 10.0) -> reward_pb2.GetInfoResponse:
        """What the server offers.

        Raises:
            RemoteError: the call failed.
        """
        return await self._result(
            self._stub.GetInfo(reward_pb2.GetInfoRequest(), timeout=timeout_s)
        )


def score_item(item: Item | reward_pb2.ScoreItem) -> tuple[reward_pb2.ScoreItem, bool]:
    """The item as it travels, and whether a text of it had to be mended."""
    if isinstance(item, reward_pb2.ScoreItem):
        return item, False
    texts = [item.response, item.prompt, item.group_id, *item.references]
    clean = [text if text.isascii() else _travelling(text) for text in texts]
    metadata = _travelling(item.metadata) if item.metadata else item.metadata
    proto = reward_pb2.ScoreItem(
        id=item.id,
        verifier=item.verifier,
        response=clean[0],
        prompt=clean[1],
        group_id=clean[2],
        references=clean[3:],
    )
    if metadata:
        struct = Struct()
        struct.update(metadata)
        proto.metadata.CopyFrom(struct)
    if item.timeout_s is not None:
        proto.timeout.FromNanoseconds(int(item.timeout_s * 1e9))
    return proto, clean != texts or metadata != item.metadata


def _travelling(value: Any) -> Any:
    """The text, or the JSON value, in valid Unicode: a lone surrogate would fail the whole call."""
    if isinstance(value, Mapping):
        return {_travelling(key): _travelling(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_travelling(inner) for inner in value]
    if not isinstance(value, str) or value.isascii():
        return value
    return _SURROGATE.sub("\ufffd", value)

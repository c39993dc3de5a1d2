"""Which items of a call are still to be judged, and for how long; knows nothing of channels."""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Sequence

from trimtab.client.reward import Item, score_item
from trimtab.common.v1 import outcome_pb2
from trimtab.errors import RemoteError, TrimtabError
from trimtab.reward.v1 import reward_pb2

_MENDABLE_CODES = frozenset({"UNAVAILABLE", "RESOURCE_EXHAUSTED"})
_TRANSIENT = frozenset(
    {
        outcome_pb2.OUTCOME_UNAVAILABLE,
        outcome_pb2.OUTCOME_TIMED_OUT,
        outcome_pb2.OUTCOME_RESOURCE_EXHAUSTED,
    }
)
_MOST_ITEMS = 4096
_MOST_CHARACTERS = 3 << 20
"""Keeps a request below 16 MiB: a character takes at most 4 bytes."""
_FIRST_PAUSE_S = 0.2
_LONGEST_PAUSE_S = 10.0


class Attempts:
    """The items of one call of a trainer, until each has its result."""

    def __init__(self, items: Sequence[Item], *, target: str, patience_s: float) -> None:
        """The ids of items are given here: their places in the call."""
        self._target = target
        self._give_up_s = time.monotonic() + patience_s
        self._pause_s = _FIRST_PAUSE_S
        self._results: dict[str, reward_pb2.ScoreResult] = {}
        self._open: dict[str, reward_pb2.ScoreItem] = {}
        self._request_ids: dict[tuple[str, ...], str] = {}
        self._count = len(items)
        for index, item in enumerate(items):
            message, _ = score_item(item)
            message.id = str(index)
            if _size(message) > _MOST_CHARACTERS:
                self._results[message.id] = _too_large(message)
            else:
                self._open[message.id] = message

    @property
    def is_done(self) -> bool:
        """True once every item has its result."""
        return not self._open

    def requests(self) -> list[reward_pb2.ScoreRequest]:
        """What is to be sent now; none: all is done.

        A request that failed on its way is the same when it comes again, id included.
        """
        batches: list[list[reward_pb2.ScoreItem]] = []
        size = _MOST_CHARACTERS
        for item in self._open.values():
            size += _size(item)
            if size > _MOST_CHARACTERS or len(batches[-1]) >= _MOST_ITEMS:
                batches.append([])
                size = _size(item)
            batches[-1].append(item)
        return [
            reward_pb2.ScoreRequest(request_id=self._request_id(batch), items=batch)
            for batch in batches
        ]

    def _request_id(self, batch: Sequence[reward_pb2.ScoreItem]) -> str:
        key = tuple(item.id for item in batch)
        return self._request_ids.setdefault(key, uuid.uuid4().hex)

    def took(self, request: reward_pb2.ScoreRequest, response: reward_pb2.ScoreResponse) -> None:
        """Takes results in; what the server had no time or room for stays open for a while.

        Raises:
            TrimtabError: the server broke the contract.
        """
        sent = [item.id for item in request.items]
        if [result.id for result in response.results] != sent:
            raise TrimtabError(
                f"{self._target} broke the contract: its {len(response.results)} results do not "
                f"match {len(sent)} items"
            )
        # The same id would be answered with the same verdicts.
        self._request_ids.pop(tuple(sent), None)
        for result in response.results:
            self._results[result.id] = result
            is_cut = result.outcome in _TRANSIENT and result.cause == outcome_pb2.CAUSE_MACHINERY
            if not is_cut or self._is_late():
                del self._open[result.id]

    def failed(self, error: RemoteError) -> None:
        """Returns if another attempt may help.

        Raises:
            RemoteError: it may not, or the patience is over.
        """
        is_mendable = error.code in _MENDABLE_CODES and error.reason != "MESSAGE_TOO_LARGE"
        if not is_mendable or self._is_late():
            raise error

    def pause_s(self) -> float:
        """How long to wait before the next attempt; longer each time, and never quite the same."""
        pause_s = self._pause_s * random.uniform(0.5, 1.0)
        self._pause_s = min(_LONGEST_PAUSE_S, 2 * self._pause_s)
        return pause_s

    def results(self) -> list[reward_pb2.ScoreResult]:
        """One result per item, in order."""
        return [self._results[str(index)] for index in range(self._count)]

    def _is_late(self) -> bool:
        return time.monotonic() > self._give_up_s


def _size(item: reward_pb2.ScoreItem) -> int:
    return len(item.response) + len(item.prompt) + sum(len(text) for text in item.references) + 64


def _too_large(item: reward_pb2.ScoreItem) -> reward_pb2.ScoreResult:
    return reward_pb2.ScoreResult(
        id=item.id,
        outcome=outcome_pb2.OUTCOME_RESOURCE_EXHAUSTED,
        cause=outcome_pb2.CAUSE_ITEM,
        detail=f"{_size(item)} characters are too many for one message; it was not sent",
    )

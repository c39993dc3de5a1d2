"""A reward function for TRL's trainers. Needs neither TRL nor torch.

    GRPOTrainer(..., reward_funcs=TrimtabReward(references_field="answer"))

What has no verdict is None, which TRL leaves out of the group's mean and of the loss.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from trimtab.client.channel import Tls
from trimtab.client.reward import Item
from trimtab.integrations.caller import Caller
from trimtab.integrations.labels import LabelError, metadata_of, references_of
from trimtab.integrations.policy import Verdict, verdicts_of
from trimtab.reward.v1 import reward_pb2

_log = logging.getLogger("trimtab.integrations.trl")


class _Reward:
    """What the two kinds of callables share: columns in, numbers out."""

    def __init__(
        self,
        target: str | None = None,
        *,
        verifier: str = "",
        references_field: str | None = "solution",
        on_item_failure: Literal["null", "zero"] = "null",
        name: str = "",
        timeout_s: float = 120.0,
        patience_s: float = 300.0,
        tls: Tls | None = None,
    ) -> None:
        """A reward function that asks a reward server.

        Without a target the environment's TRIMTAB_REWARD counts, else 127.0.0.1:50052. An empty
        `verifier` is the server's first. `references_field` is the dataset's column with the right
        answers; None: the verifier needs none. `on_item_failure` is what a response gets that is
        itself to blame for having no verdict. `timeout_s` bounds one call, `patience_s` the
        attempts while the server is out of reach: then RemoteError ends the training.
        """
        self.__name__ = name or f"trimtab_{verifier}".rstrip("_")
        self._caller = Caller(target, timeout_s=timeout_s, patience_s=patience_s, tls=tls)
        self._verifier = verifier
        self._references_field = references_field
        self._on_item_failure = on_item_failure

    def _items(
        self, prompts: Sequence[Any], completions: Sequence[Any], columns: Mapping[str, Any]
    ) -> list[Item]:
        labels = self._labels(columns, len(completions))
        lengths = columns.get("completion_ids")
        items = []
        for index, completion in enumerate(completions):
            counted = {} if lengths is None else {"token_count": len(lengths[index])}
            items.append(
                Item(
                    id=str(index),
                    verifier=self._verifier,
                    prompt=_text(prompts[index], role="user"),
                    response=_text(completion, role="assistant"),
                    references=self._references(labels[index], index),
                    metadata={**metadata_of(labels[index]), **counted},
                )
            )
        return items

    def _labels(self, columns: Mapping[str, Any], count: int) -> Sequence[Any]:
        field = self._references_field
        if field is None:
            return [None] * count
        if field not in columns:
            there = ", ".join(sorted(columns))
            raise ValueError(
                f"{self.__name__}: references_field {field!r} is no column of the dataset, which "
                f"gives {there}; name the one with the right answers, or None"
            )
        labels: Sequence[Any] = columns[field]
        return labels

    def _references(self, label: Any, index: int) -> list[str]:
        try:
            return references_of(label)
        except LabelError as error:
            field = f"{self._references_field}[{index}]"
            raise ValueError(f"{self.__name__}: {field}: {error}") from error

    def _rewards(
        self, results: Sequence[reward_pb2.ScoreResult], columns: Mapping[str, Any]
    ) -> list[float | None]:
        verdicts = verdicts_of(
            results, on_item_failure=self._on_item_failure, on_machinery_failure="null"
        )
        self._tell(verdicts, results, columns)
        return [verdict.reward for verdict in verdicts]

    def _tell(
        self,
        verdicts: Sequence[Verdict],
        results: Sequence[reward_pb2.ScoreResult],
        columns: Mapping[str, Any],
    ) -> None:
        """Logs what had no verdict, through TRL's own hooks too where they are there."""
        invalid = [index for index, verdict in enumerate(verdicts) if not verdict.is_valid]
        if invalid:
            first = invalid[0]
            _log.warning(
                "%s: %d of %d responses have no verdict, the first for: %s: %s",
                self.__name__,
                len(invalid),
                len(verdicts),
                verdicts[first].outcome,
                results[first].detail,
            )
        if (log_metric := columns.get("log_metric")) is not None and verdicts:
            log_metric(f"{self.__name__}/invalid", len(invalid) / len(verdicts))
        if (log_extra := columns.get("log_extra")) is not None:
            log_extra(f"{self.__name__}_outcome", [verdict.outcome for verdict in verdicts])


class TrimtabReward(_Reward):
    """A picklable function of prompts, completions and columns that gives rewards."""

    def __call__(
        self, prompts: Sequence[Any], completions: Sequence[Any], **columns: Any
    ) -> list[float | None]:
        """One reward per completion; None: there is no verdict.

        Raises:
            RemoteError: the server refuses the call, or stays out of reach.
            ValueError: a column is missing, or holds no right answer.
        """
        results = self._caller.score(self._items(prompts, completions, columns))
        return self._rewards(results, columns)


class AsyncTrimtabReward(_Reward):
    """The same as a coroutine function, which TRL runs beside others of its kind."""

    async def __call__(
        self, prompts: Sequence[Any], completions: Sequence[Any], **columns: Any
    ) -> list[float | None]:
        """One reward per completion; None: there is no verdict.

        Raises:
            RemoteError: the server refuses the call, or stays out of reach.
            ValueError: a column is missing, or holds no right answer.
        """
        results = await self._caller.score_async(self._items(prompts, completions, columns))
        return self._rewards(results, columns)


def _text(text_or_messages: Any, *, role: str) -> str:
    """The text itself, or the content of the last message of that role."""
    if isinstance(text_or_messages, str):
        return text_or_messages
    for message in reversed(text_or_messages):
        if message["role"] == role:
            return _content(message.get("content"))
    return ""


def _content(content: Any) -> str:
    """A message's text; where it comes in parts, that of its text parts."""
    if content is None or isinstance(content, str):
        return content or ""
    return "".join(part.get("text") or "" for part in content if part.get("type") == "text")

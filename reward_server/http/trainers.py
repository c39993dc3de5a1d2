"""What other trainers post, and what they expect back."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from reward_server.http.boundary import Call
from reward_server.http.plain import Score, aside
from reward_server.http.texts import parsed, serialized
from trimtab.client.reward import Item, score_item
from trimtab.config.http import HttpConfig
from trimtab.errors import Reason, ServiceError
from trimtab.integrations.labels import LabelError, metadata_of, references_of
from trimtab.integrations.openrlhf_shape import items_of, reply_of
from trimtab.integrations.policy import NoVerdict, Verdict, verdicts_of
from trimtab.reward.v1 import reward_pb2

_LONG_BYTES = 1 << 16
_NOT_A_NUMBER = {"outcome", "answer", "invalid"}


class TrainerShapes:
    """Handlers of the trainers' own calls."""

    def __init__(self, score: Score, config: HttpConfig, verifiers: Collection[str]) -> None:
        """`verifiers`: the names that are offered."""
        self._score = score
        self._config = config
        self._verifiers = verifiers

    async def openrlhf(self, call: Call) -> bytes:
        """`{query[], prompts[], labels[]}` to `{rewards[], scores[], extra_logs{}}`."""
        verifier = self._verifier(call)
        items = await aside(
            len(call.body) > _LONG_BYTES,
            lambda body: self._queries(parsed(body), verifier),
            call.body,
        )
        return serialized(reply_of(await self._verdicts(items, call, "labels[{}]")))

    async def slime(self, call: Call) -> bytes:
        """`{prompt, response, label}` to a number; with `?key=NAME` to `{NAME: number, ...}`."""
        item = _sample(parsed(call.body), self._verifier(call))
        [verdict] = await self._verdicts([item], call, "label")
        key = call.query.get("key")
        if key is None:
            return serialized(verdict.reward)
        if key in _NOT_A_NUMBER:
            raise _refused(f"{key!r} is the name of something else in the reply", "key")
        reply = {"outcome": verdict.outcome, "answer": verdict.answer}
        return serialized({key: verdict.reward, **reply, "invalid": not verdict.is_valid})

    def _queries(self, body: Mapping[str, Any], verifier: str) -> list[Item]:
        queries = _texts(body, "query")
        prompts, labels = _texts(body, "prompts"), _list(body, "labels")
        for name, values in (("prompts", prompts), ("labels", labels)):
            if values and len(values) != len(queries):
                raise _refused(
                    f"{len(values)} values for {len(queries)} queries: send as many, or none", name
                )
        for index, label in enumerate(labels):
            _checked_label(label, f"labels[{index}]")
        end_tokens = self._config.end_tokens
        return items_of(queries, prompts, labels, verifier=verifier, end_tokens=end_tokens)

    def _verifier(self, call: Call) -> str:
        name = call.query.get("verifier", self._config.verifier)
        if name and name not in self._verifiers:
            known = ", ".join(sorted(self._verifiers))
            raise _refused(f"no verifier is named {name[:100]!r}; known here: {known}", "verifier")
        return name

    async def _verdicts(self, items: Sequence[Item], call: Call, field: str) -> list[Verdict]:
        request = reward_pb2.ScoreRequest(items=[score_item(item)[0] for item in items])
        response = await self._score(request, call.remaining_s)
        try:
            return verdicts_of(
                response.results,
                on_item_failure=self._config.on_item_failure,
                on_machinery_failure=self._config.on_machinery_failure,
            )
        except NoVerdict as error:
            if error.is_reference:
                raise _refused(error.detail, field.format(error.index)) from error
            raise ServiceError(Reason.NO_VERDICT, str(error)) from error


def _sample(body: Mapping[str, Any], verifier: str) -> Item:
    response, prompt, label = body.get("response"), body.get("prompt"), body.get("label")
    if not isinstance(response, str):
        raise _refused("send the response as a text", "response")
    _checked_label(label, "label")
    return Item(
        id="0",
        verifier=verifier,
        prompt=prompt if isinstance(prompt, str) else "",
        response=response,
        references=references_of(label),
        metadata=metadata_of(label),
    )


def _texts(body: Mapping[str, Any], name: str) -> list[str]:
    values = _list(body, name)
    for index, value in enumerate(values):
        if not isinstance(value, str):
            raise _refused(f"a {type(value).__name__} is no text", f"{name}[{index}]")
    return values


def _list(body: Mapping[str, Any], name: str) -> list[Any]:
    values = body.get(name)
    if values is None and name != "query":
        return []
    if not isinstance(values, list):
        raise _refused("send a list, which may be empty", name)
    return values


def _checked_label(label: Any, field: str) -> None:
    try:
        references_of(label)
        metadata_of(label)
    except LabelError as error:
        raise _refused(str(error), field) from error


def _refused(message: str, field: str) -> ServiceError:
    return ServiceError(Reason.INVALID_FIELD, message, field=field)

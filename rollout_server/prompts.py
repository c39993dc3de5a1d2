"""Turns what a caller gave as a prompt into token ids."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from jinja2 import TemplateError

from trimtab.errors import Reason, ServiceError


@dataclass(frozen=True, slots=True)
class Text:
    """Text, to be encoded with the tokenizer's own special tokens."""

    text: str


@dataclass(frozen=True, slots=True)
class Chat:
    """A conversation, to be rendered for the assistant's reply."""

    messages: Sequence[Mapping[str, Any]]
    """In the form that chat templates know: role, content, name, tool_calls, tool_call_id."""
    tools: Sequence[Mapping[str, Any]] = ()
    """JSON schemas."""
    template_kwargs: Mapping[str, Any] = field(default_factory=dict)
    """Further arguments of the template."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """Token ids, to be used as they are."""

    token_ids: Sequence[int]


PromptInput = Text | Chat | Tokens


class PromptEncoder:
    """Encodes prompts for one model."""

    def __init__(self, tokenizer: Any, *, vocabulary_size: int) -> None:
        """`tokenizer` is one of transformers with a fast backend."""
        self._tokenizer = tokenizer
        self._vocabulary_size = vocabulary_size
        # A caller must not reach these through `template_kwargs`: one of them is a template.
        parameters = inspect.signature(tokenizer.apply_chat_template).parameters
        self._reserved = frozenset(parameters) | {"messages"}

    def encode(self, given: PromptInput) -> tuple[int, ...]:
        """The prompt's tokens; at least one.

        Raises:
            ServiceError: INVALID_FIELD, NO_CHAT_TEMPLATE or TOKEN_OUT_OF_RANGE.
        """
        match given:
            case Text(text):
                token_ids = tuple(self._encoded(text, add_special_tokens=True))
            case Chat():
                token_ids = tuple(self._encoded(self._rendered(given), add_special_tokens=False))
            case Tokens(ids):
                token_ids = tuple(ids)
                self._check_range(token_ids)
        if not token_ids:
            raise ServiceError(
                Reason.INVALID_FIELD, "the prompt is empty: give at least one token", field="input"
            )
        return token_ids

    def _encoded(self, text: str, *, add_special_tokens: bool) -> Sequence[int]:
        backend = self._tokenizer.backend_tokenizer
        ids: Sequence[int] = backend.encode(text, add_special_tokens=add_special_tokens).ids
        return ids

    def _rendered(self, chat: Chat) -> str:
        if not self._tokenizer.chat_template:
            raise ServiceError(
                Reason.NO_CHAT_TEMPLATE,
                "the model has no chat template: give text or token_ids instead of chat",
                field="chat",
            )
        reserved = sorted(self._reserved & set(chat.template_kwargs))
        if reserved:
            raise ServiceError(
                Reason.INVALID_FIELD,
                f"{reserved[0]!r} is no argument of the template: leave it out",
                field="chat.template_kwargs",
            )
        if not chat.messages:
            raise ServiceError(
                Reason.INVALID_FIELD, "a chat needs at least one message", field="chat.messages"
            )
        try:
            rendered: str = self._tokenizer.apply_chat_template(
                list(chat.messages),
                tools=list(chat.tools) or None,
                add_generation_prompt=True,
                tokenize=False,
                **chat.template_kwargs,
            )
        except (TemplateError, TypeError, ValueError, LookupError) as error:
            raise ServiceError(
                Reason.INVALID_FIELD,
                f"the model's chat template refuses the conversation: {error}",
                field="chat",
            ) from error
        return rendered

    def _check_range(self, token_ids: Sequence[int]) -> None:
        for position, token_id in enumerate(token_ids):
            if token_id >= self._vocabulary_size:
                raise ServiceError(
                    Reason.TOKEN_OUT_OF_RANGE,
                    f"token {token_id} at position {position} is outside the vocabulary of "
                    f"{self._vocabulary_size}: is it another model's tokenizer?",
                    field="token_ids",
                )

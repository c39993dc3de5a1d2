"""Config of the HTTP front of a reward server."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from trimtab.config.base import Model
from trimtab.end_tokens import END_TOKENS

DEFAULT_HTTP_LISTEN = "127.0.0.1:5000"


class HttpConfig(Model):
    """JSON over HTTP, beside gRPC. It needs the extra `http`."""

    listen: str = DEFAULT_HTTP_LISTEN
    """HOST:PORT; port 0: a free one. Beyond loopback it needs `tls` or `insecure`, as gRPC does."""
    compat: tuple[Literal["json", "openrlhf", "slime"], ...] = ()
    """Trainers whose shapes are spoken: `openrlhf` at /get_reward, `slime` (miles too) at / and
    /slime. The contract's own JSON is always there."""
    verifier: str = ""
    """Which verifier judges for those trainers where their URL names none; empty: the first."""
    deadline_s: float = Field(default=100.0, gt=0)
    """Time for a call that brings no `Connect-Timeout-Ms`; trainers give up after 120 s or more."""
    on_item_failure: Literal["zero", "null", "error"] = "zero"
    """What those trainers are told of a response that is itself to blame for having no verdict."""
    on_machinery_failure: Literal["null", "error"] = "error"
    """The same where anything else is to blame: never a number."""
    end_tokens: tuple[str, ...] = END_TOKENS
    """Taken off the end of OpenRLHF's queries, which are decoded with their special tokens."""

    @field_validator("end_tokens")
    @classmethod
    def _tokens_are_texts(cls, tokens: tuple[str, ...]) -> tuple[str, ...]:
        if not all(tokens):
            raise ValueError("an empty text is no token")
        return tokens

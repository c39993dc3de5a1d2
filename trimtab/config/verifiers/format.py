"""Options of the `format` verifier."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from trimtab.config.base import Model


class FormatVerifierConfig(Model):
    """Checks the shape of a response; it needs no reference."""

    type: Literal["format"] = "format"
    """Which verifier."""
    pattern: str | None = Field(default=None, max_length=10_000)
    """A regular expression in RE2's syntax, which takes linear time; none: not checked."""
    match: Literal["full", "search"] = "full"
    """Whether the pattern must cover the whole response, or be found in it."""
    boxed: Literal["any", "required", "once"] = "any"
    r"""Whether a complete `\boxed{...}` with something in it must be there after the thinking."""
    think_tags: Literal["any", "required", "forbidden"] = "any"
    """Required: one `<think>...</think>` before anything else, and an answer behind it."""
    partial: bool = False
    """Rewards the share of the checks that hold, instead of 1 where all do and else 0."""

    @model_validator(mode="after")
    def _checks_something(self) -> FormatVerifierConfig:
        if self.pattern is None and self.boxed == "any" and self.think_tags == "any":
            raise ValueError("nothing is checked: set pattern, boxed or think_tags")
        return self

"""Options of the `exact` verifier."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from trimtab.config.base import Model


class ExactVerifierConfig(Model):
    """Compares text with the reference, character by character after tidying both."""

    type: Literal["exact"] = "exact"
    """Which verifier."""
    extract: Literal["all", "last_line", "last_box", "tag"] = "all"
    """Where the answer stands in the response."""
    tag: str = Field(default="answer", pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,63}$")
    """Name of the tag that holds the answer, for `extract: tag`; its last pair counts."""
    ignore_case: bool = False
    """Makes "Paris" and "paris" equal."""
    ignore_blanks: bool = True
    """Makes runs of blanks and line ends one blank, and drops them at both ends."""
    ignore_punctuation: bool = False
    """Drops every character that Unicode calls punctuation."""
    strip_thinking: bool = True
    """Ignores what stands between think tags; a response that ends while thinking has no answer."""

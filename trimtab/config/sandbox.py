"""Config of a reward server's sandbox."""

from __future__ import annotations

from typing import Literal

from trimtab.config.base import Model


class SandboxConfig(Model):
    """How well whatever runs for an item must be locked in."""

    code_min_level: Literal["PROCESS", "LIMITS", "JACKET", "ISOLATED"] = "PROCESS"
    """A server with a `code` verifier refuses to start where the system gives less."""

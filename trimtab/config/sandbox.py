"""Config of a reward server's sandbox."""

from __future__ import annotations

from typing import Literal, get_args

from pydantic import Field

from trimtab.config.base import Model

MinLevel = Literal["PROCESS", "LIMITS", "JACKET", "ISOLATED"]
SandboxPart = Literal["user", "limits", "landlock", "seccomp", "namespaces", "cgroup"]


class SandboxConfig(Model):
    """How well whatever runs for an item must be locked in."""

    min_level: MinLevel = "PROCESS"
    """The server refuses to start where the system gives its workers less."""
    code_min_level: MinLevel = "JACKET"
    """A server with a `code` verifier refuses to start where the system gives programs less."""
    parts: tuple[SandboxPart, ...] = get_args(SandboxPart)
    """What the sandbox is made of; leave out what does harm on an unusual system."""
    first_uid: int = Field(default=60600, ge=1, le=(1 << 32) - (1 << 17))
    """First of the user ids that workers get, one each, if the server runs as root."""
    uid_count: int = Field(default=500, ge=16, le=1 << 16)
    """How many ids; half of them are for programs."""

"""What verifiers share that judge every response inside the server."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from reward_server.verifiers.base import Question, Verdict, version_of


class InServerVerifier:
    """A verifier whose `quick` always tells, in linear time."""

    type: ClassVar[str]
    revision: ClassVar[int]
    worker_module: str | None = None
    reads_references = True

    def __init__(self, options: Mapping[str, Any]) -> None:
        """`options`: the config of its type, every key set."""
        self.options = dict(options)
        self.version = version_of(self.type, self.revision, self.options)

    def judge(self, question: Question) -> Verdict:
        """Is never asked: `quick` leaves no question open."""
        raise AssertionError(f"a question to {self.type}, which asks none: {question.kind}")

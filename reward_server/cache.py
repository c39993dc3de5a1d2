"""Remembers verdicts, so that an answer that comes again is not judged again."""

from __future__ import annotations

import hashlib
import sys
from collections import OrderedDict

from reward_server.verifiers.base import Outcome, Question, Verdict

_LASTING = frozenset(
    (
        Outcome.CORRECT,
        Outcome.INCORRECT,
        Outcome.NO_ANSWER,
        Outcome.SCORED,
        Outcome.ABSTAINED,
        Outcome.INVALID_REFERENCE,
    )
)
_ENTRY_BYTES = 480
"""What an entry takes besides its texts and components: key, verdict and links."""
_COMPONENT_BYTES = 100


def key_of(version: str, question: Question) -> bytes:
    """Tells one question to one verifier version from every other."""
    texts = (version, question.kind, *question.texts, *question.references)
    # With every length in front no text can pass for two.
    lengths = ",".join(map(str, (len(question.texts), *map(len, texts))))
    whole = f"{lengths};{''.join(texts)}".encode("utf-8", "surrogatepass")
    return hashlib.blake2b(whole, digest_size=20).digest()


def is_lasting(verdict: Verdict) -> bool:
    """True if the question decides the verdict, and not the time or memory that was left."""
    return verdict.outcome in _LASTING


class VerdictCache:
    """The verdicts by key, least recently used first."""

    def __init__(self, *, max_entries: int, max_bytes: int) -> None:
        """Holds what both limits allow; a limit of 0 holds nothing."""
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self._verdicts: OrderedDict[bytes, Verdict] = OrderedDict()
        self.size_bytes = 0
        """Roughly the memory that the entries take."""

    def __len__(self) -> int:
        return len(self._verdicts)

    def get(self, key: bytes) -> Verdict | None:
        """The verdict, if it is remembered."""
        verdict = self._verdicts.get(key)
        if verdict is not None:
            self._verdicts.move_to_end(key)
        return verdict

    def put(self, key: bytes, verdict: Verdict) -> None:
        """Remembers a verdict if it is a lasting one."""
        if not is_lasting(verdict) or not self._max_entries or not self._max_bytes:
            return
        if (before := self._verdicts.pop(key, None)) is not None:
            self.size_bytes -= _bytes_of(before)
        self._verdicts[key] = verdict
        self.size_bytes += _bytes_of(verdict)
        while len(self._verdicts) > self._max_entries or self.size_bytes > self._max_bytes:
            _, oldest = self._verdicts.popitem(last=False)
            self.size_bytes -= _bytes_of(oldest)


def _bytes_of(verdict: Verdict) -> int:
    texts = sys.getsizeof(verdict.extracted_answer) + sys.getsizeof(verdict.detail)
    return _ENTRY_BYTES + texts + _COMPONENT_BYTES * len(verdict.components)

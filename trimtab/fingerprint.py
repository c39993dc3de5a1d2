"""What tells whether two processes encode alike: digests of a tokenizer and its chat template."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_PER_CALL_KEYS = ("truncation", "padding")
"""Parts of a tokenizer's state that the last call left there; they are no part of its rules."""


def tokenizer_fingerprint(tokenizer: PreTrainedTokenizerBase) -> str:
    """Lowercase hex SHA-256 of the canonical `tokenizer.json`.

    Equal fingerprints encode alike, whatever the order of keys or the indentation of the file.
    """
    backend: Any = tokenizer.backend_tokenizer
    content = json.loads(backend.to_str())
    for key in _PER_CALL_KEYS:
        content.pop(key, None)
    return _digest(json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False))


def chat_template_digest(tokenizer: PreTrainedTokenizerBase) -> str:
    """Lowercase hex SHA-256 of the chat template; empty without one."""
    template: str | dict[str, str] | None = tokenizer.chat_template
    if not template:
        return ""
    if isinstance(template, dict):
        return _digest(json.dumps(template, sort_keys=True, ensure_ascii=False))
    return _digest(template)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()

"""Each sample's own seed."""

from __future__ import annotations

import hashlib


def sample_seed(seed: int, prompt_id: str, sample_index: int) -> int:
    """The first 8 bytes, big-endian, of SHA-256 of `seed|prompt_id|sample_index`."""
    digest = hashlib.sha256(f"{seed}|{prompt_id}|{sample_index}".encode()).digest()
    return int.from_bytes(digest[:8], "big")

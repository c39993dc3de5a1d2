"""The digest that names a state of the weights."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping


def tensor_digest(data: bytes | bytearray | memoryview) -> str:
    """Lowercase hex SHA-256 of a tensor's bytes in the serving dtype."""
    return hashlib.sha256(data).hexdigest()


def weights_digest(digest_by_name: Mapping[str, str]) -> str:
    """Lowercase hex SHA-256 of the lines `name SP hex LF` sorted by name.

    `digest_by_name` holds `tensor_digest` of each tensor, tied tensors once.
    """
    lines = "".join(f"{name} {digest}\n" for name, digest in sorted(digest_by_name.items()))
    return hashlib.sha256(lines.encode()).hexdigest()

"""Has a second verifier judge a share of the rows."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence

from trimtab.scoring.pipeline import Judged
from trimtab.scoring.rows import Row
from trimtab.scoring.verdicts import NOT_AUDITED, audit_of
from trimtab.scoring.verifier import Verifier


def is_sampled(number: int, share: float) -> bool:
    """True for about this share of the rows, always the same ones."""
    digest = hashlib.blake2b(b"%d" % number, digest_size=8, person=b"audit").digest()
    return int.from_bytes(digest, "big") < share * 2**64


class AuditedVerifier:
    """A verifier, and a second one beside it that is asked about some of the rows."""

    def __init__(self, verifier: Verifier, audit: Verifier, *, share: float) -> None:
        """`audit` is asked about this share of the rows."""
        self._verifier = verifier
        self._audit = audit
        self._share = share

    async def judge(self, rows: Sequence[Row]) -> Judged:
        """Verdicts and second opinions on a batch."""
        sampled = [row for row in rows if is_sampled(row.number, self._share)]
        verdicts, seconds = await asyncio.gather(
            self._verifier.verdicts(rows), self._audit.verdicts(sampled)
        )
        by_row = {second.row: second for second in seconds}
        audits = [
            audit_of(verdict, by_row[verdict.row]) if verdict.row in by_row else NOT_AUDITED
            for verdict in verdicts
        ]
        return Judged(rows, verdicts, audits)

"""What a scoring job is, so that a later one can tell whether it goes on with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from trimtab.errors import ConfigError
from trimtab.scoring.rows import Fields, RowReader
from trimtab.scoring.verifier import Verifier

_LABELS = {
    "digest": "the content of the file (SHA-256)",
    "response": "--response-field",
    "references": "--references-field",
    "needs_references": "whether references are needed",
    "prompt": "--prompt-field",
    "metadata": "--metadata-field",
    "verifier": "the verifier",
    "version": "the verifier's version",
    "audit": "--audit",
    "audit_version": "the version of the verifier that audits",
    "audit_share": "--audit-share",
}
"""How people know each part; also what is compared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Everything that the verdicts on a file depend on, besides the server's whims."""

    digest: str
    """SHA-256 of the file."""
    response: str | None
    references: str | None
    needs_references: bool
    prompt: str | None
    metadata: tuple[str, ...]
    verifier: str
    version: str
    audit: str | None = None
    audit_version: str = ""
    audit_share: float = 0.0

    @classmethod
    def of(
        cls,
        reader: RowReader,
        asked: Fields,
        verifier: Verifier,
        audit: Verifier | None = None,
        audit_share: float = 0.0,
    ) -> Job:
        """The job of these arguments; reads the whole file for its digest."""
        return cls(
            digest=reader.file.digest(),
            **asdict(asked),
            verifier=verifier.name,
            version=verifier.version,
            audit=None if audit is None else audit.name,
            audit_version="" if audit is None else audit.version,
            audit_share=0.0 if audit is None else audit_share,
        )

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Job:
        """The job that `to_json` made the values from."""
        return cls(**{**values, "metadata": tuple(values["metadata"])})

    def to_json(self) -> dict[str, Any]:
        """The job as JSON values."""
        return asdict(self)

    def check_same(self, earlier: Job, where: str) -> None:
        """Returns if the verdicts of `earlier`, kept in `where`, are also this job's.

        Raises:
            ConfigError: something differs; names it.
        """
        changes = []
        for part in fields(self):
            before, now = getattr(earlier, part.name), getattr(self, part.name)
            if before != now:
                changes.append(f"{_LABELS[part.name]} was {_shown(before)}, now {_shown(now)}")
        if changes:
            raise ConfigError(
                f"{where} holds a part of the verdicts, but of another job: {'; '.join(changes)}. "
                "Undo the change to go on, or begin anew with --restart"
            )


def _shown(value: object) -> str:
    if value is None or value in ("", ()):
        return "not given"
    text = ",".join(value) if isinstance(value, tuple) else str(value)
    return text if len(text) < 64 else f"{text[:12]}..."

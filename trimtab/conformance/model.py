"""What a check is, and what came of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trimtab.conformance.peer import Peer

Run = Callable[["Peer"], Awaitable[str]]


class Level(StrEnum):
    """What it means that a check does not hold."""

    REQUIRED = "required"
    """The server breaks the contract: callers get wrong rewards, no rewards, or hang."""
    RECOMMENDED = "recommended"
    """Callers can do without, but operation is poorer."""


class Status(StrEnum):
    """What came of a check."""

    PASSED = "passed"
    """What the contract says was seen."""
    FAILED = "failed"
    """A required check does not hold."""
    ADVISED = "advised"
    """A recommended one does not hold."""
    SKIPPED = "skipped"
    """It could not be judged."""


class Broken(Exception):
    """The check does not hold; the text says what was seen."""


class NotJudged(Exception):
    """The check cannot be judged here; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that is looked at."""

    name: str
    """What `--only` and `--skip` name."""
    level: Level
    """Required or recommended."""
    contract: str
    """The contract's sentence; empty: it says nothing, the recommendation is ours."""
    mend: str
    """What to do where it does not hold."""
    run: Run
    """Gives what was seen; raises Broken, NotJudged, or Refused for a call that failed."""
    is_heavy: bool = False
    """Left out by `--quick`."""


def check(
    name: str, *, level: Level, contract: str, mend: str, is_heavy: bool = False
) -> Callable[[Run], Check]:
    """Makes a check of the function that looks."""

    def made(run: Run) -> Check:
        return Check(
            name=name, level=level, contract=contract, mend=mend, run=run, is_heavy=is_heavy
        )

    return made


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What came of one check."""

    name: str
    """The check's."""
    level: Level
    """The check's."""
    status: Status
    """How it stands."""
    seen: str
    """What was seen, or why it could not be judged."""
    contract: str
    """The check's."""
    mend: str
    """The check's."""
    elapsed_s: float
    """How long it took."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What came of all checks."""

    target: str
    """Who was checked."""
    server: str
    """What it says of itself; empty: nothing."""
    verifier: str
    """The verifier that the items named; empty: the server's first."""
    findings: Sequence[Finding]
    """In the order of the checks."""

    @property
    def is_passed(self) -> bool:
        """True if no required check failed, and something was judged at all."""
        judged = [finding for finding in self.findings if finding.status is not Status.SKIPPED]
        return bool(judged) and all(finding.status is not Status.FAILED for finding in judged)

    def names(self, status: Status) -> list[str]:
        """The checks that stand so."""
        return [finding.name for finding in self.findings if finding.status is status]

    def to_json(self) -> Mapping[str, Any]:
        """The report as JSON values."""
        return {
            "target": self.target,
            "server": self.server,
            "verifier": self.verifier,
            "is_passed": self.is_passed,
            "counts": {str(status): len(self.names(status)) for status in Status},
            "checks": [asdict(finding) for finding in self.findings],
        }

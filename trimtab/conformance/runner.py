"""Runs the checks one after the other."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence

from trimtab.conformance import results
from trimtab.conformance.model import (
    Broken,
    Check,
    Finding,
    Level,
    NotJudged,
    Report,
    Status,
)
from trimtab.conformance.options import Options
from trimtab.conformance.peer import Peer, Refused
from trimtab.conformance.suite import selected
from trimtab.errors import ConfigError

Progress = Callable[[str, int, int], None]
"""Told the name of a check that begins, its number from 1, and how many there are."""

_CALLS_IN_A_ROW = 20
_SURVEY = "the survey of all kinds of items"


async def run_suite(options: Options, *, progress: Progress = lambda *_: None) -> Report:
    """Checks a server; gives what was found.

    Raises:
        ConfigError: the options name no check, or a verifier that the server does not offer.
        RemoteError: no RewardService answers at the target.
    """
    checks = selected(options)
    async with Peer(options) as peer:
        await peer.connect()
        _require_verifier(peer)
        if any(check in results.CHECKS for check in checks):
            peer.where = _SURVEY
            await results.survey(peer)
        findings = await _run_all(peer, checks, progress)
        return Report(
            target=options.target,
            server=peer.info.server if peer.info else "",
            verifier=options.verifier,
            findings=findings,
        )


def _require_verifier(peer: Peer) -> None:
    wanted = peer.options.verifier
    offered = [verifier.name for verifier in peer.info.verifiers] if peer.info else []
    if wanted and offered and wanted not in offered:
        raise ConfigError(
            f"{peer.options.target} offers no verifier {wanted!r}, only {', '.join(offered)}",
            field="--verifier",
        )


async def _run_all(peer: Peer, checks: Sequence[Check], progress: Progress) -> list[Finding]:
    findings: list[Finding] = []
    killer = ""
    for number, check in enumerate(checks, 1):
        progress(check.name, number, len(checks))
        if killer and check not in results.CHECKS:
            text = f"the server no longer answered after {killer}"
            findings.append(_finding(check, Status.SKIPPED, text))
            continue
        peer.where = check.name
        started_s = time.monotonic()
        status, seen = await _run(peer, check)
        if status is not Status.PASSED and not killer and not await peer.is_alive():
            # Whatever was asked for, a server must not go down over it.
            status, seen = Status.FAILED, f"{seen}; then the server no longer answered"
            killer = check.name
        findings.append(_finding(check, status, seen, time.monotonic() - started_s))
    return findings


async def _run(peer: Peer, check: Check) -> tuple[Status, str]:
    """How the check stands, and what was seen."""
    broken = Status.FAILED if check.level is Level.REQUIRED else Status.ADVISED
    limit_s = _CALLS_IN_A_ROW * peer.options.timeout_s
    try:
        async with asyncio.timeout(limit_s):
            return Status.PASSED, await check.run(peer)
    except NotJudged as error:
        return Status.SKIPPED, str(error)
    except Broken as error:
        return broken, str(error)
    except Refused as error:
        return broken, f"the call failed: {error}"
    except TimeoutError:
        return broken, f"it did not end within {limit_s:g} s"


def _finding(check: Check, status: Status, seen: str, elapsed_s: float = 0.0) -> Finding:
    return Finding(
        name=check.name,
        level=check.level,
        status=status,
        seen=seen,
        contract=check.contract,
        mend=check.mend,
        elapsed_s=round(elapsed_s, 3),
    )

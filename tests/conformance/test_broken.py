"""Every way of breaking the contract is found out, by its own check and by no other."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.conformance.broken import BROKEN, FLOOD_ITEMS
from tests.conformance.servers import program
from trimtab.conformance import CHECKS, Options, Report, Scale, Status, run_suite

SMALL = Scale(
    hurried_items=2_000,
    hurried_s=0.5,
    cancelled_items=2_000,
    rise_s=0.5,
    flood_items=FLOOD_ITEMS,
    flood_s=8.0,
)
TIMEOUT_S = 8.0
ALWAYS = {"backwards", "dropping", "dividing", "mixing", "choking", "guessing"}


def seen(report: Report) -> dict[str, str]:
    return {finding.name: f"{finding.status}: {finding.seen}" for finding in report.findings}


def listed() -> list[Any]:
    """Every broken server; a handful runs with each `make test`."""
    return [
        name if name in ALWAYS else pytest.param(name, marks=pytest.mark.slow) for name in BROKEN
    ]


@pytest.mark.parametrize("name", listed())
async def test_a_broken_server_is_found_out_by_its_own_check(name: str) -> None:
    with program("tests.conformance.broken", name) as target:
        report = await run_suite(Options(target=target, timeout_s=TIMEOUT_S, scale=SMALL))
    assert report.names(Status.FAILED) == [BROKEN[name][1]], seen(report)
    assert not report.is_passed


async def test_an_honest_server_passes_everything() -> None:
    with program("tests.conformance.honest") as target:
        scale = replace(SMALL, rise_s=20.0, flood_items=300)
        report = await run_suite(Options(target=target, timeout_s=TIMEOUT_S, scale=scale))
    assert report.is_passed
    assert len(report.findings) == len(CHECKS) - 1, "all but the one that needs --cases"
    assert {name for name in seen(report) if name not in report.names(Status.PASSED)} == set()
    assert "of them cut" in seen(report)["deadline"]
    assert "0 RESOURCE_EXHAUSTED" not in seen(report)["overload"]

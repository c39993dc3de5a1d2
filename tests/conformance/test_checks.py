"""The checks quote the contract as it is, and the page of the documentation lists them all."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from trimtab.conformance import CHECKS, Check, Level, Options, Scale, run_suite
from trimtab.conformance.suite import selected
from trimtab.errors import ConfigError

ROOT = Path(__file__).parents[2]
PROTOS = ("common/v1/outcome.proto", "reward/v1/reward.proto")


def contract() -> str:
    """The comments of the protos, without line breaks."""
    texts = [(ROOT / "proto" / "trimtab" / name).read_text(encoding="utf-8") for name in PROTOS]
    return re.sub(r"\s*\n\s*//\s*", " ", "\n".join(texts))


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
def test_a_check_quotes_the_contract(check: Check) -> None:
    assert check.contract in contract()
    assert check.mend.endswith((".", "?"))
    if check.level is Level.REQUIRED and check.name != "known-answers":
        assert check.contract, "what is required stands in the contract"


def test_names_are_distinct() -> None:
    names = [check.name for check in CHECKS]
    assert len(set(names)) == len(names)


def test_the_page_lists_every_check_with_its_level_and_sentence() -> None:
    page = (ROOT / "docs" / "check-reward.md").read_text(encoding="utf-8")
    for check in CHECKS:
        [line] = [line for line in page.splitlines() if line.startswith(f"| `{check.name}` |")]
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        assert cells[1] == check.level
        assert cells[3] == (f'"{check.contract}"' if check.contract else "")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"only": ["deadline", "health"]}, ["health", "deadline"]),
        ({"only": ["stream-*"], "skip": ["stream-empty", "stream-d*"]}, 3),
        ({"only": ["overload"], "is_quick": True}, ["overload"]),
    ],
)
def test_checks_are_chosen_by_name(options: dict[str, object], expected: object) -> None:
    chosen = [check.name for check in selected(Options(target="x", **options))]  # type: ignore[arg-type]
    assert expected in (chosen, len(chosen))


def test_quick_leaves_the_heavy_checks_out() -> None:
    whole, quick = selected(Options(target="x")), selected(Options(target="x", is_quick=True))
    assert {check.name for check in whole} - {check.name for check in quick} == {
        "most-items",
        "too-many-items",
        "overload",
    }


@pytest.mark.parametrize("option", ["only", "skip"])
async def test_a_name_that_fits_no_check_is_an_error(option: str) -> None:
    options = Options(target="x", scale=Scale(), **{option: ["order"]})  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=f"--{option}: no check is named 'order'"):
        await run_suite(options)

"""The level that follows from what a tested child did."""

from __future__ import annotations

from pathlib import Path

import pytest

from reward_server.sandbox.levels import Fit, Level, lowest
from reward_server.sandbox.selftest import judge

ELSEWHERE = {name: f"{name}:[1]" for name in ("net", "ipc", "mnt", "uts", "cgroup")}


def test_a_child_that_can_do_nothing_elsewhere_is_isolated() -> None:
    assert judge([], ELSEWHERE, {}) == Fit(Level.ISOLATED)


@pytest.mark.parametrize(
    ("act", "level"),
    [
        ("read", Level.LIMITS), ("write", Level.LIMITS), ("connect", Level.LIMITS),
        ("exec", Level.LIMITS), ("trace", Level.LIMITS), ("signal", Level.LIMITS),
        ("fork", Level.PROCESS), ("memory", Level.PROCESS), ("descriptors", Level.PROCESS),
    ],
)  # fmt: skip
def test_one_act_is_enough_to_lower_it(act: str, level: Level) -> None:
    fit = judge([act], ELSEWHERE, {})
    assert fit.level is level
    assert len(fit.lacks) == 1


def test_what_is_missing_is_given_as_the_reason() -> None:
    fit = judge(["read"], ELSEWHERE, {"landlock": "Function not implemented", "user": "no"})
    assert fit.lacks == ("a worker can read files: no landlock (Function not implemented)",)


def test_a_child_beside_the_server_is_not_isolated() -> None:
    net = str(Path("/proc/self/ns/net").readlink())
    fit = judge([], {**ELSEWHERE, "net": net}, {"namespaces": "not permitted"})
    assert fit.level is Level.JACKET
    assert fit.lacks == (
        "a worker shares the server's namespaces net: no namespaces (not permitted)",
    )


def test_what_is_not_told_counts_as_shared() -> None:
    assert judge([], {}, {}).level is Level.JACKET


def test_the_weakest_counts() -> None:
    fits = [Fit(Level.ISOLATED), Fit(Level.LIMITS, ("a", "b")), Fit(Level.JACKET, ("b", "c"))]
    assert lowest(fits) == Fit(Level.LIMITS, ("a", "b", "c"))
    assert lowest([]).level is Level.NONE

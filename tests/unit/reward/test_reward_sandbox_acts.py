"""What children of a real zygote can and cannot do, with their jacket and without."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
from typing import Any

import pytest

from reward_server.sandbox.jacket import PARTS
from tests.unit.reward.sandbox_acts import ALLOWED, DONE, FORBIDDEN, NAME

NOBODY = 61234
IN_A_CONTAINER = ("user", "limits", "landlock", "seccomp")
"""What is left without the right to make namespaces and cgroups."""
# Some systems refuse these by themselves.
REFUSED_ANYWAY = {
    "become root", "trace the server", "read the server's memory", "make a user namespace",
    "write to shared memory",
}  # fmt: skip
AS_NOBODY = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
JACKETS = [
    pytest.param(None, PARTS, id="all parts"),
    pytest.param(None, IN_A_CONTAINER, id="as in a container"),
    pytest.param(NOBODY, PARTS, id="all parts as nobody", marks=AS_NOBODY),
    pytest.param(NOBODY, IN_A_CONTAINER, id="as in a container as nobody", marks=AS_NOBODY),
]


@functools.cache
def report(uid: int | None, parts: tuple[str, ...]) -> dict[str, Any]:
    command = [sys.executable, "-m", NAME, "--parts", ",".join(parts)]
    if uid is not None:
        command += ["--uid", str(uid)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def jacketed(uid: int | None, parts: tuple[str, ...]) -> dict[str, Any]:
    found = report(uid, parts)
    if found["level"] not in ("JACKET", "ISOLATED"):
        pytest.skip("; ".join(found["lacks"]))
    return found


@pytest.mark.parametrize(("uid", "parts"), JACKETS)
def test_a_jacket_stops_everything_forbidden(uid: int | None, parts: tuple[str, ...]) -> None:
    ends = jacketed(uid, parts)["ends"]
    # Only in a mount namespace can a child's folder be given a size.
    beyond = [] if "namespaces" in parts else ["write too many files"]
    assert [name for name in FORBIDDEN if ends[name] == DONE] == beyond


@pytest.mark.parametrize(("uid", "parts"), JACKETS)
def test_a_jacket_leaves_what_programs_need(uid: int | None, parts: tuple[str, ...]) -> None:
    ends = jacketed(uid, parts)["ends"]
    assert {name: ends[name] for name in ALLOWED} == dict.fromkeys(ALLOWED, DONE)


def test_without_a_jacket_everything_goes() -> None:
    ends = report(None, ())["ends"]
    wanted = [*ALLOWED, *(FORBIDDEN.keys() - REFUSED_ANYWAY)]
    assert {name: ends[name] for name in wanted} == dict.fromkeys(wanted, DONE)


def test_what_is_left_out_is_named() -> None:
    found = report(None, ())
    assert found["level"] == "PROCESS"
    named = " ".join(found["lacks"])
    for words in ("read files", "connect to the network", "run programs", "trace the server"):
        assert f"a worker can {words}: no " in named
    assert "left out by sandbox.parts" in named


def test_namespaces_and_a_cgroup_make_the_difference() -> None:
    found = jacketed(None, IN_A_CONTAINER)
    assert found["level"] == "JACKET"
    assert [line.split(":")[0] for line in found["lacks"]] == [
        "a worker shares the server's namespaces net, ipc, mnt, uts",
        "a worker shares the server's cgroup",
    ]

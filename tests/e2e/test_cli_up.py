from __future__ import annotations

import os
import signal
import socket
from pathlib import Path

from tests.unit.cli.cli_process import (
    free_address,
    group_pids,
    read_until,
    running,
    service_pid,
    trimtab,
)

MODULES = ("rollout_server", "reward_server", "learner")


def ports() -> list[str]:
    words = []
    for service in ("rollout", "reward", "learner"):
        words += ["--set", f"serve.{service}.listen={free_address()}"]
    return words


def test_up_serves_restarts_and_drains(tmp_path: Path) -> None:
    with running("up", *ports(), cwd=tmp_path) as process:
        lines = read_until(process, "all three serve")
        pids = [service_pid(process.pid, module) for module in MODULES]
        assert any(line.startswith("rollout | ") for line in lines)
        os.kill(pids[1], signal.SIGKILL)
        read_until(process, "reward serves again")
        pids.append(service_pid(process.pid, "reward_server"))
        process.send_signal(signal.SIGTERM)
        read_until(process, "all services have ended")
        assert process.wait(60) == 128 + signal.SIGTERM
    assert not any(group_pids(pid) for pid in pids)


def test_a_port_in_use_is_named_and_nothing_is_started(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        words = [*ports(), "--set", f"serve.reward.listen=127.0.0.1:{port}"]
        ended = trimtab("up", *words, cwd=tmp_path)
    assert ended.returncode == 1
    assert f"port {port}" in ended.stderr
    assert "serve.reward.listen" in ended.stderr
    assert " | " not in ended.stderr

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from tests.unit.cli.cli_process import free_address, group_pids, wait_gone
from trimtab.client.reward import Item, RewardClient
from trimtab.config.reward import RewardServerConfig
from trimtab.errors import ConfigError
from trimtab.supervisor import Launch, LocalServices, ServiceFailed

WAIT_S = 60.0


def reward(listen: str = "127.0.0.1:0", *, restart: bool = True, **values: Any) -> Launch:
    config = RewardServerConfig(listen=listen, workers=1, **values)
    return Launch(service="reward", config=config, label="reward", restart=restart)


class Notes:
    """Lets a test wait for a note that contains a text."""

    def __init__(self) -> None:
        self.seen: asyncio.Queue[str] = asyncio.Queue()
        self.act: Callable[[str], None] = lambda _: None

    def __call__(self, label: str, note: str) -> None:
        assert label == "reward"
        self.act(note)
        self.seen.put_nowait(note)

    async def wait_for(self, text: str) -> None:
        async with asyncio.timeout(WAIT_S):
            while text not in await self.seen.get():
                pass


async def test_a_started_service_answers_and_draining_leaves_no_process() -> None:
    lines: list[tuple[str, str]] = []
    async with LocalServices([reward()], on_line=lambda *line: lines.append(line)) as services:
        target, pid = services.target("reward"), services.pids["reward"]
        async with RewardClient(target) as client:
            [result] = await client.score(
                [Item(id="1", response=r"\boxed{1+x}", references=["x+1"])], timeout_s=WAIT_S
            )
        assert result.reward == 1.0
        assert len(group_pids(pid)) > 1, "the server has worker processes"
    assert group_pids(pid) == set()
    assert ("reward", f"reward serving on {target}") in lines


async def test_a_killed_service_comes_back_on_its_port() -> None:
    notes = Notes()
    async with LocalServices([reward()], on_note=notes) as services:
        target, pid = services.target("reward"), services.pids["reward"]
        os.kill(pid, signal.SIGKILL)
        await notes.wait_for("was killed by SIGKILL")
        await notes.wait_for(f"serves again on {target}")
        assert services.pids["reward"] != pid
        assert group_pids(pid) == set()
        async with RewardClient(target) as client:
            assert (await client.get_info()).worker_count == 1


async def test_a_service_that_keeps_dying_is_given_up() -> None:
    notes = Notes()
    with socket.socket() as squatter:

        def take_the_port(note: str) -> None:
            if squatter.getsockname()[1] == 0:
                squatter.bind(("127.0.0.1", port))
                squatter.listen()

        notes.act = take_the_port
        async with LocalServices([reward()], on_note=notes) as services:
            port = int(services.target("reward").rpartition(":")[2])
            os.kill(services.pids["reward"], signal.SIGKILL)
            async with asyncio.timeout(WAIT_S):
                with pytest.raises(ServiceFailed, match=r"reward: died 5 times.*given up.*in use"):
                    await services.wait_failed()


async def test_the_death_of_a_service_that_is_not_restarted_is_a_failure() -> None:
    async with LocalServices([reward(restart=False)]) as services:
        os.kill(services.pids["reward"], signal.SIGKILL)
        async with asyncio.timeout(WAIT_S):
            with pytest.raises(ServiceFailed, match="reward: was killed by SIGKILL"):
                await services.wait_failed()


async def test_a_config_that_the_server_refuses_is_told_in_its_words() -> None:
    with pytest.raises(ConfigError, match=r"^listen: 0\.0\.0\.0:0 is not on loopback"):
        async with LocalServices([reward("0.0.0.0:0")]):
            pass


async def test_a_port_in_use_is_named_with_what_to_do() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ServiceFailed, match=rf"port {port} .* in use: .*serve\.reward\.listen"):
            async with LocalServices([reward(f"127.0.0.1:{port}")]):
                pass


_PARENT = """
import asyncio, sys
from trimtab.config.reward import RewardServerConfig
from trimtab.supervisor import Launch, LocalServices

async def main():
    config = RewardServerConfig(listen=sys.argv[1], workers=1)
    launch = Launch(service="reward", config=config, label="reward")
    async with LocalServices([launch]) as services:
        print(services.pids["reward"], flush=True)
        await services.wait_failed()

asyncio.run(main())
"""


def test_no_process_outlives_a_parent_that_is_killed() -> None:
    command = [sys.executable, "-c", _PARENT, free_address()]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        family = group_pids(pid)
        assert len(family) > 1
        parent.kill()
        for member in family:
            wait_gone(member)

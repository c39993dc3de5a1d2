"""What servers leave behind, however they end, and who clears it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from reward_server.processes import Nursery, SpawnFailed, WorkerProcess
from reward_server.sandbox.jacket import DEFAULT_UIDS, Jacket
from reward_server.sandbox.levels import Level
from reward_server.sandbox.private_base import PrivateBase
from tests.unit.reward.sandbox_acts import NAME
from tests.wire.reward_server_process import children, eventually, is_gone, running_reward_server

SPAWN_AND_WAIT = """
import asyncio
from reward_server.processes import Nursery
from reward_server.sandbox.jacket import Jacket

async def main():
    nursery = Nursery(entry="{entry}", settings={{}}, jacket=Jacket(memory_bytes=1 << 29))
    worker = await nursery.spawn(private_dir=True)
    print(worker.pid, worker.private_dir, flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""


AS_ROOT = pytest.mark.skipif(
    os.geteuid() != 0, reason="only root can give children users of their own"
)


@pytest.fixture
def own_tmp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for temporary files that nobody else uses."""
    tmp_path.chmod(0o755)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return tmp_path


def nursery(**jacket: Any) -> Nursery:
    return Nursery(entry=NAME, settings={}, jacket=Jacket(memory_bytes=1 << 29, **jacket))


@contextlib.asynccontextmanager
async def children_in(workers: Nursery) -> AsyncIterator[Callable[..., Awaitable[WorkerProcess]]]:
    """Gives a way to start children, which end with the block."""
    started: list[WorkerProcess] = []

    async def spawn(*, private_dir: bool = False) -> WorkerProcess:
        started.append(await workers.spawn(private_dir=private_dir))
        return started[-1]

    try:
        yield spawn
    finally:
        for worker in started:
            workers.kill(worker)
            await worker.writer.wait_closed()
        await workers.close()


async def times(count: int, spawn: Callable[[], Awaitable[WorkerProcess]]) -> None:
    for _ in range(count):
        await spawn()


def status(worker: WorkerProcess) -> dict[str, list[str]]:
    """The system's word on a process."""
    lines = Path(f"/proc/{worker.pid}/status").read_text().splitlines()
    return {line.split(":")[0]: line.split(":")[1].split() for line in lines}


def is_folder(path: Path | None) -> bool:
    return path is not None and path.is_dir()


def contents(path: Path) -> list[Path]:
    return list(path.iterdir())


def cgroups_of(pid: int) -> list[Path]:
    """The cgroups of that process that a zygote has made."""
    found = []
    for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines():
        path = line.split(":", 2)[2]
        if "trimtab-sandbox-" in path:
            name = path.rpartition("/")[2]
            found += list(Path("/sys/fs/cgroup").glob(f"**/{name}"))
    return found


async def test_a_private_folder_lasts_as_long_as_its_child(own_tmp: Path) -> None:
    async with children_in(nursery()) as spawn:
        first, second = await spawn(private_dir=True), await spawn(private_dir=True)
        assert is_folder(first.private_dir)
        first.writer.close()  # its run ends when its connection does
        assert await first.exited == 0
        await asyncio.to_thread(eventually, lambda: not is_folder(first.private_dir))
        assert is_folder(second.private_dir)
    assert contents(own_tmp) == []


@AS_ROOT
async def test_children_of_root_have_users_of_their_own() -> None:
    workers = nursery()
    async with children_in(workers) as spawn:
        all_status = [status(await spawn()) for _ in range(3)]
        if workers.fit.level < Level.ISOLATED:
            pytest.skip("; ".join(workers.fit.lacks))
    users = [set(one["Uid"]) | set(one["Gid"]) for one in all_status]
    assert [len(own) for own in users] == [1, 1, 1]
    assert len(set.union(*users)) == 3
    assert set.union(*users) < {str(uid) for uid in range(DEFAULT_UIDS[0], sum(DEFAULT_UIDS))}
    for one in all_status:
        assert {int(one[name][0], 16) for name in ("CapEff", "CapPrm", "CapBnd")} == {0}
        assert one["NoNewPrivs"] == ["1"]
        assert one["Groups"] == []


@AS_ROOT
async def test_more_children_than_users_are_refused() -> None:
    workers = nursery(uids=(DEFAULT_UIDS[0], 2))
    async with children_in(workers) as spawn:
        await spawn()
        if workers.fit.level < Level.ISOLATED:
            pytest.skip("; ".join(workers.fit.lacks))
        with pytest.raises(SpawnFailed, match=r"raise sandbox\.uid_count"):
            await times(2, spawn)


def test_a_killed_server_leaves_no_child_folder_or_cgroup(own_tmp: Path) -> None:
    command = [sys.executable, "-c", SPAWN_AND_WAIT.format(entry=NAME)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        pid, folder = server.stdout.readline().split()
        [zygote] = children(server.pid)
        cgroups = cgroups_of(int(pid))
        assert Path(folder).is_dir()
        server.kill()
    eventually(lambda: is_gone(zygote))
    assert is_gone(int(pid))
    assert not any(map(is_folder, cgroups))
    assert contents(own_tmp) == []


async def test_a_killed_zygote_takes_its_children_along(own_tmp: Path) -> None:
    others = children(os.getpid())  # other tests may have left some to this process
    async with children_in(nursery()) as spawn:
        before = await spawn(private_dir=True)
        cgroups = cgroups_of(before.pid)
        [zygote] = children(os.getpid()) - others
        os.kill(zygote, signal.SIGKILL)
        await before.exited
        await asyncio.to_thread(eventually, lambda: is_gone(before.pid))
        after = await spawn(private_dir=True)
        assert not is_folder(before.private_dir)
        assert is_folder(after.private_dir)
        assert not any(map(is_folder, cgroups))
    assert contents(own_tmp) == []


def test_the_next_start_clears_what_nobody_holds(own_tmp: Path) -> None:
    kept = PrivateBase()
    left = own_tmp / "trimtab-sandbox-left"
    (left / "1" / "deep").mkdir(parents=True)
    elsewhere = own_tmp / "elsewhere"
    elsewhere.mkdir()
    (own_tmp / "trimtab-sandbox-link").symlink_to(elsewhere)
    PrivateBase().close()
    assert not left.exists()
    assert kept.path.is_dir()
    assert elsewhere.is_dir()
    kept.close()


def test_servers_that_start_at_once_do_not_take_each_others_folders(own_tmp: Path) -> None:
    with ThreadPoolExecutor(max_workers=8) as threads:
        bases = list(threads.map(lambda _: PrivateBase(), range(200)))
    assert all(base.path.is_dir() for base in bases)
    for base in bases:
        base.close()
    assert contents(own_tmp) == []


def test_a_server_leaves_nothing_after_sigterm(own_tmp: Path) -> None:
    with running_reward_server("workers=2") as server:
        [worker, *_] = server.worker_pids()
        cgroups = cgroups_of(worker)
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(30) == 0
    assert contents(own_tmp) == []
    assert not any(map(is_folder, cgroups))

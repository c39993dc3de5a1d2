"""`trimtab score` cut short at any moment goes on later, and nothing is lost or judged anew."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tests.unit.router.reward_peers import Context, Peer, peer
from trimtab.common.v1 import outcome_pb2
from trimtab.reward.v1 import reward_pb2
from trimtab.scoring.partial import PART_ROWS

ROWS = 2 * PART_ROWS + 1000
GATE = PART_ROWS + 2000
"""Rows after which the server keeps everybody waiting until the gate opens."""
TIMEOUT_S = 120.0
CHANGES = [
    (["--response-field", "other"], "--response-field was response, now other"),
    (["--metadata-field", "extra"], "--metadata-field was not given, now extra"),
    (["--audit", "odd"], "--audit was not given, now odd"),
    (["--verifier", "odd"], "the verifier was even, now odd; the verifier's version was even-1"),
]


class Gate:
    """A server that finds even rows correct, up to a gate that may be closed."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.judged: list[int] = []
        self.version = "even-1"

    async def answer(
        self, request: reward_pb2.ScoreRequest, context: Context
    ) -> list[reward_pb2.ScoreResult]:
        numbers = [int(item.id) for item in request.items]
        if numbers[-1] >= GATE:
            await self.open.wait()
        self.judged += numbers
        return [self._result(number) for number in numbers]

    def _result(self, number: int) -> reward_pb2.ScoreResult:
        even = number % 2 == 0
        outcome = outcome_pb2.OUTCOME_CORRECT if even else outcome_pb2.OUTCOME_INCORRECT
        return reward_pb2.ScoreResult(
            id=str(number),
            outcome=outcome,
            reward=float(even),
            confidence=0.5 if number % 1000 else 0.25,
            components={"parity": number % 2},
            verifier_version=self.version,
        )


@asynccontextmanager
async def gated() -> AsyncIterator[tuple[Gate, Peer]]:
    gate = Gate()
    async with peer(gate.answer) as server:
        server.verifiers = [reward_pb2.VerifierInfo(name="even", version="even-1")]
        yield gate, server


def write_rows(path: Path, count: int = ROWS) -> Path:
    path.write_text("".join(f'{{"response": "is it {n}", "answer": {n}}}\n' for n in range(count)))
    return path


async def start(server: Peer, file: Path, *arguments: str) -> asyncio.subprocess.Process:
    command = [sys.executable, "-m", "trimtab.cli", "score", str(file), "--reward", server.target]
    return await asyncio.create_subprocess_exec(
        *command,
        *arguments,
        cwd=file.parent,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )


async def ended(process: asyncio.subprocess.Process) -> tuple[int, str]:
    said, _ = await asyncio.wait_for(process.communicate(), TIMEOUT_S)
    assert process.returncode is not None
    return process.returncode, said.decode()


async def score(server: Peer, file: Path, *arguments: str) -> tuple[int, str]:
    return await ended(await start(server, file, *arguments))


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(TIMEOUT_S):
        while not condition():  # noqa: ASYNC110 - what is waited for happens in another process
            await asyncio.sleep(0.01)


def kept_parts(file: Path) -> int:
    journal = file.with_suffix(".scored.parquet.partial") / "journal.jsonl"
    return journal.read_bytes().count(b"\n") - 1 if journal.exists() else 0


def asked(server: Peer, first_request: int) -> list[int]:
    """The rows that were asked about from that request on."""
    return sorted(
        int(item.id) for request in server.requests[first_request:] for item in request.items
    )


def table(path: Path) -> pa.Table:
    found: pa.Table = pq.read_table(path)
    return found.drop_columns(["elapsed_s", "cached"])


async def cut_short(server: Peer, file: Path, number: int) -> tuple[int, str]:
    """Runs the command up to the gate and ends it with the signal."""
    process = await start(server, file)
    await until(lambda: kept_parts(file) > 0)
    process.send_signal(number)
    return await ended(process)


async def test_killed_in_the_middle_it_goes_on_where_it_was(tmp_path: Path) -> None:
    file = write_rows(tmp_path / "answers.jsonl")
    async with gated() as (gate, server):
        status, _ = await cut_short(server, file, signal.SIGKILL)
        assert status == -signal.SIGKILL
        assert not (tmp_path / "answers.scored.parquet").exists()
        gate.open.set()
        before = len(server.requests)
        status, said = await score(server, file)
        assert status == 0, said
        assert "going on behind the first" in said
        again = asked(server, before)
        assert again == list(range(again[0], ROWS))
        assert again[0] > 0
        resumed = table(tmp_path / "answers.scored.parquet")
        assert not file.with_suffix(".scored.parquet.partial").exists()
        status, said = await score(server, file, "--out", "whole.parquet")
        assert status == 0, said
        assert resumed.equals(table(tmp_path / "whole.parquet"))
    assert resumed.column("row").to_pylist() == list(range(ROWS))
    assert resumed.column("outcome").to_pylist()[:2] == ["correct", "incorrect"]
    assert "confidence 0.25" in said


async def test_ctrl_c_keeps_all_that_was_judged(tmp_path: Path) -> None:
    file = write_rows(tmp_path / "answers.jsonl")
    async with gated() as (gate, server):
        status, said = await cut_short(server, file, signal.SIGINT)
        assert status == 128 + signal.SIGINT
        assert f"of {ROWS:,} rows are kept in" in said
        assert "the same command goes on from there" in said
        first = set(gate.judged)
        gate.open.set()
        before = len(server.requests)
        status, said = await score(server, file)
        assert status == 0, said
        again = asked(server, before)
        assert again == list(range(again[0], ROWS))
        assert set(range(again[0])) <= first
    assert pq.read_table(tmp_path / "answers.scored.parquet").num_rows == ROWS


async def test_another_job_is_told_apart(tmp_path: Path) -> None:
    file = write_rows(tmp_path / "answers.jsonl")
    async with gated() as (gate, server):
        server.verifiers.append(reward_pb2.VerifierInfo(name="odd", version="odd-1"))
        await cut_short(server, file, signal.SIGKILL)
        parts = kept_parts(file)
        for arguments, problem in CHANGES:
            status, said = await score(server, file, *arguments)
            assert status == 2
            assert problem in said
            assert "begin anew with --restart" in said
        write_rows(file, ROWS - 1)
        status, said = await score(server, file)
        assert status == 2
        assert "the content of the file (SHA-256) was" in said
        assert kept_parts(file) == parts
        gate.open.set()
        status, said = await score(server, file, "--restart")
        assert status == 0, said
    assert pq.read_metadata(tmp_path / "answers.scored.parquet").num_rows == ROWS - 1


async def test_a_verifier_that_changes_on_the_way_is_noticed(tmp_path: Path) -> None:
    file = write_rows(tmp_path / "answers.jsonl")
    async with gated() as (gate, server):
        process = await start(server, file)
        await until(lambda: kept_parts(file) > 0)
        server.verifiers = [reward_pb2.VerifierInfo(name="even", version="even-2")]
        gate.version = "even-2"
        gate.open.set()
        status, said = await ended(process)
        assert status == 2
        assert "now judges with version even-2 of even, until now it was even-1" in said
        status, said = await score(server, file)
        assert status == 2
        assert "the verifier's version was even-1, now even-2" in said
        status, said = await score(server, file, "--restart")
        assert status == 0, said
    versions = pq.read_table(tmp_path / "answers.scored.parquet").column("verifier_version")
    assert set(versions.to_pylist()) == {"even-2"}


async def test_two_commands_do_not_write_the_same_output(tmp_path: Path) -> None:
    file = write_rows(tmp_path / "answers.jsonl")
    async with gated() as (gate, server):
        first = await start(server, file)
        await until(lambda: kept_parts(file) > 0)
        status, said = await score(server, file)
        assert status == 2
        assert "another command is at work on" in said
        gate.open.set()
        status, said = await ended(first)
        assert status == 0, said


async def test_a_server_that_refuses_leaves_what_was_judged(tmp_path: Path) -> None:
    file = write_rows(tmp_path / "answers.jsonl")
    async with gated() as (gate, server):
        process = await start(server, file)
        await until(lambda: kept_parts(file) > 0)

        async def muddle(
            request: reward_pb2.ScoreRequest, context: Context
        ) -> list[reward_pb2.ScoreResult]:
            return []

        server.answers = [muddle]
        gate.open.set()
        status, said = await ended(process)
        assert status == 1
        assert "its 0 results do not match" in said
        assert "the same command goes on from there" in said
        server.answers = [gate.answer]
        status, said = await score(server, file)
        assert status == 0, said
    assert pq.read_metadata(tmp_path / "answers.scored.parquet").num_rows == ROWS

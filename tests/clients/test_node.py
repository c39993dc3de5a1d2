"""The Node client against real servers, and a reward server in Node against the checks."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.unit.cli.cli_process import free_address
from tests.wire.reward_server_process import running_reward_server
from tests.wire.rollout_server_process import running_rollout_server
from trimtab.conformance import QUICK, Options, Status, run_suite

ROOT = Path(__file__).parents[2]
INSTALL_TIMEOUT_S = 240.0
RUN_TIMEOUT_S = 120.0

pytestmark = pytest.mark.skipif(
    shutil.which("node") is None or shutil.which("npm") is None, reason="needs node and npm"
)


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The client, installed from its lock file beside a copy of the protos."""
    folder = tmp_path_factory.mktemp("node")
    shutil.copytree(ROOT / "proto", folder / "proto")
    client = folder / "clients" / "node"
    ignored = shutil.ignore_patterns("node_modules")
    shutil.copytree(ROOT / "clients" / "node", client, ignore=ignored)
    done = subprocess.run(
        ["npm", "ci", "--no-audit", "--no-fund"],
        cwd=client,
        capture_output=True,
        text=True,
        timeout=INSTALL_TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    shutil.copytree(ROOT / "examples" / "external_reward", folder / "examples" / "external_reward")
    return client / "client.mjs"


@pytest.fixture(scope="module")
def targets() -> Iterator[list[str]]:
    """A rollout and a reward server, as the program's options name them."""
    verifier = "verifiers.numeric={type: numeric, extract: after_last_equals}"
    with running_rollout_server() as rollout, running_reward_server(verifier) as reward:
        yield ["--rollout", rollout.target, "--reward", reward.target]


def run(program: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """The program, run to its end."""
    return subprocess.run(
        ["node", str(program), *options],
        capture_output=True,
        text=True,
        timeout=RUN_TIMEOUT_S,
        check=False,
    )


def run_json(program: Path, targets: list[str]) -> dict[str, Any]:
    """What the program got from the servers."""
    done = run(program, *targets, "--json")
    assert done.returncode == 0, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def test_samples_carry_one_number_a_token(program: Path, targets: list[str]) -> None:
    samples = run_json(program, targets)["samples"]
    assert [sample["sample_index"] for sample in samples] == [0, 1]
    for sample in samples:
        count = len(sample["token_ids"])
        assert count > 0
        assert len(sample["logprobs"]) == len(sample["entropies"]) == count
        assert all(value <= 0 for value in sample["logprobs"])
        assert all(value >= 0 for value in sample["entropies"])
        assert sample["entropy_kind"] == "ENTROPY_KIND_EXACT"


def test_samples_are_judged(program: Path, targets: list[str]) -> None:
    report = run_json(program, targets)
    assert [result["id"] for result in report["results"]] == ["sum-0", "sum-1"]
    for sample, result in zip(report["samples"], report["results"], strict=True):
        right = sample["text"].rpartition("=")[2].strip() == "51"
        assert result["reward"] == (1 if right else 0), (sample["text"], result)
        assert (result["outcome"] == "OUTCOME_CORRECT") == right


def test_error_details_are_decoded(program: Path, targets: list[str]) -> None:
    error = run_json(program, targets)["error"]
    assert error["code"] == "INVALID_ARGUMENT"
    assert error["reason"] == "DUPLICATE_ID"
    assert "twin" in error["message"]


def test_output_for_people_names_outcomes(program: Path, targets: list[str]) -> None:
    done = run(program, *targets)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("12+34+5=") == 2
    assert done.stdout.count("log-probs") == done.stdout.count("entropies") == 2
    assert done.stdout.count("OUTCOME_") == 2
    assert "a bad request: INVALID_ARGUMENT DUPLICATE_ID" in done.stdout


def test_no_server_is_an_error(program: Path, targets: list[str]) -> None:
    done = run(program, "--rollout", "unix:/nonexistent/socket", *targets[2:])
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")


@contextmanager
def brevity_in_node(program: Path) -> Iterator[str]:
    """The example of a reward server in Node."""
    address = free_address()
    server = program.parents[2] / "examples" / "external_reward" / "brevity.mjs"
    process = subprocess.Popen(["node", str(server), address.rpartition(":")[2]])
    try:
        yield address
    finally:
        process.kill()
        process.wait(RUN_TIMEOUT_S)


async def test_a_reward_server_in_node_keeps_to_the_contract(program: Path) -> None:
    with brevity_in_node(program) as target:
        report = await run_suite(Options(target=target, is_quick=True, scale=QUICK))
    assert report.names(Status.FAILED) == []
    assert report.is_passed
    assert "stream-offered" in report.names(Status.ADVISED)

"""`trimtab check-reward` against real servers."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.servers import program
from tests.e2e.test_examples import brevity_server, free_port
from tests.services import Service, service


@pytest.fixture(scope="module")
def server() -> Iterator[Service]:
    with service("reward_server", "workers=2") as started:
        yield started


def check(target: str, *options: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "trimtab.cli", "check-reward", target, *options]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, timeout=280)


def report_of(ended: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    report: dict[str, Any] = json.loads(ended.stdout)
    return report


def names(report: dict[str, Any], status: str) -> set[str]:
    return {check["name"] for check in report["checks"] if check["status"] == status}


@pytest.mark.slow
def test_our_own_server_passes_everything(server: Service, tmp_path: Path) -> None:
    ended = check(server.target, "--json", cwd=tmp_path)
    report = report_of(ended)
    assert names(report, "failed") == names(report, "advised") == set(), ended.stdout
    assert ended.returncode == 0
    assert report["is_passed"] is True
    assert report["counts"]["passed"] >= 46


@pytest.mark.slow
def test_our_own_server_turns_calls_away_with_a_delay(tmp_path: Path) -> None:
    wanted = ("overload", "retry-delay", "error-info", "reward-by-outcome", "cause")
    only = [part for name in wanted for part in ("--only", name)]
    with service("reward_server", "workers=1", "max_waiting_items=500") as narrow:
        ended = check(narrow.target, *only, "--json", cwd=tmp_path)
    report = report_of(ended)
    assert ended.returncode == 0, ended.stdout
    assert names(report, "passed") == set(wanted), ended.stdout


def test_our_own_server_passes_the_quick_checks(server: Service, tmp_path: Path) -> None:
    ended = check(server.target, "--quick", cwd=tmp_path)
    assert ended.returncode == 0, ended.stdout
    assert f"{server.target} keeps to the contract: " in ended.stdout
    assert "FAILED" not in ended.stdout
    assert "advised" not in ended.stdout


def test_the_example_of_the_readme_needs_recommendations_only(tmp_path: Path) -> None:
    with brevity_server() as target:
        ended = check(target, "--json", "--out", "report.json", cwd=tmp_path)
    report = report_of(ended)
    assert ended.returncode == 0, ended.stdout
    assert names(report, "failed") == set()
    assert names(report, "advised") == {
        "info-limits",
        "health",
        "reflection",
        "too-many-items",
        "stream-offered",
        "too-long-response",
        "error-info",
    }
    assert json.loads((tmp_path / "report.json").read_text()) == report


def test_a_broken_server_is_explained(tmp_path: Path) -> None:
    with program("tests.conformance.broken", "dividing") as target:
        ended = check(target, "--quick", "--skip", "stream-*", cwd=tmp_path)
    assert ended.returncode == 1
    assert f"{target} breaks the contract: " in ended.stdout
    explained = ended.stdout.partition("FAILED finite-reward\n")[2]
    assert "seen:     " in explained
    assert "SCORED with a reward of nan" in explained
    assert "contract: Set by the server if and only if the outcome carries a reward" in explained
    assert "mend:     Answer VERIFIER_ERROR without a reward" in explained
    assert "stream-" not in ended.stdout


def test_known_answers_are_compared(server: Service, tmp_path: Path) -> None:
    cases = [
        {"response": r"\boxed{5}", "references": ["5"], "outcome": "correct", "reward": 1},
        {"id": "named", "response": "6", "references": ["5"], "reward": 0, "verifier": "numeric"},
        {"response": "no idea", "references": ["5"], "outcome": "OUTCOME_NO_ANSWER"},
    ]
    file = tmp_path / "cases.jsonl"
    file.write_text("".join(f"{json.dumps(case)}\n" for case in cases))
    options = ("--cases", str(file), "--only", "known-answers", "--json")
    ended = check(server.target, *options, cwd=tmp_path)
    assert (ended.returncode, report_of(ended)["checks"][0]["seen"]) == (0, "all 3 as expected")
    cases[1] = {"id": "named", "response": r"\boxed{6}", "references": ["5"], "reward": 1}
    file.write_text("".join(f"{json.dumps(case)}\n" for case in cases))
    ended = check(server.target, *options, cwd=tmp_path)
    assert ended.returncode == 1
    [known] = report_of(ended)["checks"]
    assert (known["status"], known["seen"]) == ("failed", "1 of 3: named: a reward of 0, not 1")


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('{"response": "x", "outcome": "right"}', "line 2: outcome: no outcome is named 'right'"),
        ('{"response": "x", "reward": "1"}', "line 2: reward: '1' is not a finite number"),
        ('{"response": "x"}', "line 2: says neither `outcome` nor `reward`"),
        ('{"answer": "x", "reward": 1}', "line 2: not a ScoreItem: "),
        ('{"response": ', "line 2: not JSON: "),
        ("[]", "line 2: not a JSON object"),
    ],
)
def test_a_case_that_does_not_hold_is_named(tmp_path: Path, line: str, problem: str) -> None:
    (tmp_path / "cases.jsonl").write_text(f'{{"response": "x", "reward": 1}}\n{line}\n')
    ended = check("127.0.0.1:1", "--cases", "cases.jsonl", cwd=tmp_path)
    assert ended.returncode == 2
    assert f"error: cases.jsonl, {problem}" in ended.stderr


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["--only", "order"], "--only: no check is named 'order'; there are get-info, "),
        (["--cases", "gone.jsonl"], "gone.jsonl: cannot be read"),
        (["--tls-cert", "mine.pem"], "--tls-cert and --tls-key come together"),
        (["--tls-ca", "gone.pem"], "tls: cannot read gone.pem"),
    ],
)
def test_wrong_usage_is_status_2(tmp_path: Path, options: list[str], problem: str) -> None:
    ended = check("127.0.0.1:1", *options, cwd=tmp_path)
    assert ended.returncode == 2
    assert f"error: {problem}" in ended.stderr


def test_a_verifier_that_is_not_offered_is_status_2(server: Service, tmp_path: Path) -> None:
    ended = check(server.target, "--verifier", "poetry", cwd=tmp_path)
    assert ended.returncode == 2
    assert "offers no verifier 'poetry', only math, numeric" in ended.stderr


def test_nobody_there_is_status_2(tmp_path: Path) -> None:
    ended = check(f"127.0.0.1:{free_port()}", "--timeout", "1", cwd=tmp_path)
    assert ended.returncode == 2
    assert "no connection within 1 s: does it listen there, without TLS?" in ended.stderr
    assert ended.stdout == ""


def test_another_service_is_status_2(tmp_path: Path) -> None:
    with service("learner", f"runs_dir={tmp_path}", "threads=1") as learner:
        ended = check(learner.target, cwd=tmp_path)
    assert ended.returncode == 2
    assert "no trimtab.reward.v1.RewardService there" in ended.stderr


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl")
def test_a_server_with_tls_is_checked(tmp_path: Path) -> None:
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-nodes", "-keyout", "key.pem", "-out", "cert.pem", "-days", "1"),
            *("-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"),
        ],
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )
    files = f"tls={{cert_file: {tmp_path / 'cert.pem'}, key_file: {tmp_path / 'key.pem'}}}"
    with service("reward_server", "workers=1", files) as secured:
        options = ("--only", "one-item", "--only", "health")
        ended = check(secured.target, *options, "--tls-ca", "cert.pem", cwd=tmp_path)
        assert ended.returncode == 0, ended.stdout + ended.stderr
        plain = check(secured.target, *options, "--timeout", "1", cwd=tmp_path)
    assert plain.returncode == 2
    assert "does it listen there, without TLS?" in plain.stderr

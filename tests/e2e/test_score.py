import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.services import Service, service
from tests.unit.cli.cli_process import read_until, running, service_pid
from trimtab.scoring.partial import PART_ROWS
from trimtab.scoring.verdicts import AUDITED_SCHEMA, SCHEMA

ROWS: list[dict[str, Any]] = [
    {"response": "46+5=51", "answer": 51},
    {"response": "46+5=50", "answer": "51"},
    {"response": "one half is 0.5", "answer": ["1/2", "0.7"]},
    {"response": "no idea", "answer": "7"},
]
OUTCOMES = ["correct", "incorrect", "correct", "no_answer"]


@pytest.fixture(scope="module")
def server() -> Iterator[Service]:
    with service("reward_server", "workers=2") as started:
        yield started


def score(
    server: Service, file: Path, *arguments: str, verifier: str = "numeric"
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "trimtab.cli", "score", str(file)]
    options = ["--reward", server.target, "--verifier", verifier, *arguments]
    return subprocess.run(
        [*command, *options], capture_output=True, text=True, cwd=file.parent, timeout=120
    )


def write_lines(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def verdicts(path: Path) -> list[dict[str, Any]]:
    table = pq.read_table(path)
    assert table.schema == SCHEMA
    rows: list[dict[str, Any]] = table.to_pylist()
    assert [row["row"] for row in rows] == list(range(len(rows)))
    return rows


def test_a_jsonl_file_is_scored_in_order(server: Service, tmp_path: Path) -> None:
    file = write_lines(tmp_path / "answers.jsonl", ROWS * 50)
    ended = score(server, file, "--batch", "7", "--in-flight", "3")
    assert ended.returncode == 0, ended.stderr
    rows = verdicts(tmp_path / "answers.scored.parquet")
    assert [row["outcome"] for row in rows] == OUTCOMES * 50
    assert [row["reward"] for row in rows[:4]] == [1.0, 0.0, 1.0, 0.0]
    assert rows[0]["extracted_answer"] == "51"
    assert rows[0]["verifier_version"].startswith("numeric-")
    assert "200 rows" in ended.stdout
    assert "50.0%" in ended.stdout
    assert "mean reward 0.5000 over 200 rows" in ended.stdout


def test_a_parquet_file_in_the_verl_layout_is_scored(server: Service, tmp_path: Path) -> None:
    rows = [
        {"reply": row["response"], "reward_model": {"ground_truth": "51"}, "index": number}
        for number, row in enumerate(ROWS)
    ]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "answers.parquet")
    out = tmp_path / "made" / "verdicts.parquet"
    ended = score(
        server, tmp_path / "answers.parquet", "--response-field", "reply", "--out", str(out)
    )
    assert ended.returncode == 0, ended.stderr
    assert [row["outcome"] for row in verdicts(out)] == [
        "correct", "incorrect", "incorrect", "no_answer",
    ]  # fmt: skip
    assert not (tmp_path / "answers.scored.parquet").exists()


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('{"response": 3, "answer": "7"}', "no text in column 'response'"),
        ('{"response": "x"}', "no answer in column 'answer'"),
        ('{"response": "x", "answer": []}', "no answer in column 'answer'"),
        ('{"response": "x", "answer": [null]}', "no answer in column 'answer'"),
        ('{"response": "x", "answ', "is not JSON"),
        ("[1, 2]", "is not a JSON object"),
    ],
)
def test_a_bad_row_is_named_and_nothing_is_written(
    server: Service, tmp_path: Path, line: str, problem: str
) -> None:
    file = write_lines(tmp_path / "answers.jsonl", ROWS)
    with file.open("a") as lines:
        lines.write(f"\n{line}\n")
    ended = score(server, file, "--batch", "1")
    assert ended.returncode == 2
    assert "row 4 of" in ended.stderr
    assert problem in ended.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["answers.jsonl"]


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["--response-field", "reply"], "no column 'reply' (columns: response, answer)"),
        (["--references-field", "gold"], "no column 'gold' (columns: response, answer)"),
        (["--out", "verdicts.csv"], "verdicts.csv is not a .parquet file"),
    ],
)
def test_a_column_or_file_that_cannot_be_is_an_error(
    server: Service, tmp_path: Path, options: list[str], problem: str
) -> None:
    ended = score(server, write_lines(tmp_path / "answers.jsonl", ROWS), *options)
    assert ended.returncode == 2
    assert problem in ended.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["answers.jsonl"]


def test_no_column_with_references_is_an_error(server: Service, tmp_path: Path) -> None:
    file = write_lines(tmp_path / "answers.jsonl", [{"response": "x", "gold": "7"}])
    ended = score(server, file)
    assert ended.returncode == 2
    assert "reward_model.ground_truth (columns: response, gold)" in ended.stderr


def test_an_unknown_verifier_is_an_error(server: Service, tmp_path: Path) -> None:
    file = write_lines(tmp_path / "answers.jsonl", ROWS)
    ended = score(server, file, verifier="poetry")
    assert ended.returncode == 2
    assert "no verifier 'poetry', only math, numeric" in ended.stderr


def test_a_response_that_fits_no_message_is_not_sent(server: Service, tmp_path: Path) -> None:
    rows = [ROWS[0], {"response": "9" * (17 << 20), "answer": "9"}, ROWS[1]]
    ended = score(server, write_lines(tmp_path / "answers.jsonl", rows))
    assert ended.returncode == 0, ended.stderr
    scored = verdicts(tmp_path / "answers.scored.parquet")
    assert [row["outcome"] for row in scored] == ["correct", "resource_exhausted", "incorrect"]
    assert scored[1]["cause"] == "item"
    assert scored[1]["reward"] is None


def wait_for_a_part(file: Path) -> None:
    journal = file.with_suffix(".scored.parquet.partial") / "journal.jsonl"
    while not journal.exists() or journal.read_bytes().count(b"\n") < 2:
        os.sched_yield()


def test_a_server_killed_on_the_way_costs_nothing(tmp_path: Path) -> None:
    file = write_lines(tmp_path / "answers.jsonl", ROWS * PART_ROWS)
    with service("reward_server", "workers=1") as server:
        options = ["--reward", server.target, "--verifier", "numeric"]
        with running("score", str(file), *options, cwd=tmp_path) as command:
            wait_for_a_part(file)
            server.kill()
            server.start()
            said = read_until(command, "verdicts in")
            assert command.wait(60) == 0, said
    rows = verdicts(tmp_path / "answers.scored.parquet")
    assert [row["outcome"] for row in rows] == OUTCOMES * PART_ROWS


def test_a_server_started_for_the_while_is_started_again(tmp_path: Path) -> None:
    file = write_lines(tmp_path / "answers.jsonl", ROWS * PART_ROWS)
    config = tmp_path / "reward.yaml"
    config.write_text("workers: 1\nverifiers: {last: {type: numeric}}\n")
    with running("score", str(file), "--config", str(config), cwd=tmp_path) as command:
        wait_for_a_part(file)
        os.kill(service_pid(command.pid, "reward_server"), signal.SIGKILL)
        said = read_until(command, "verdicts in")
        assert command.wait(60) == 0, said
    assert any("restarting it on 127.0.0.1:" in line for line in said)
    rows = verdicts(tmp_path / "answers.scored.parquet")
    assert [row["outcome"] for row in rows] == OUTCOMES * PART_ROWS


def test_a_second_verifier_audits_a_share(tmp_path: Path) -> None:
    file = write_lines(tmp_path / "answers.jsonl", ROWS * 50)
    config = tmp_path / "reward.yaml"
    config.write_text(
        "workers: 1\nverifiers:\n  exactly: {type: numeric}\n"
        "  roughly: {type: numeric, relative_tolerance: 0.1}\n"
    )
    command = [sys.executable, "-m", "trimtab.cli", "score", str(file), "--config", str(config)]
    ended = subprocess.run(
        [*command, "--audit", "roughly", "--audit-share", "0.5"],
        capture_output=True, text=True, cwd=tmp_path, timeout=120,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    table = pq.read_table(tmp_path / "answers.scored.parquet")
    assert table.schema == AUDITED_SCHEMA
    audited = [row for row in table.to_pylist() if row["audit_outcome"] is not None]
    assert 50 < len(audited) < 150
    for row in audited:
        assert row["audit_version"].startswith("numeric-")
        assert row["disagrees"] == (row["row"] % 4 == 1)
    assert all(row["disagrees"] is None for row in table.to_pylist() if row not in audited)
    assert f"audited {len(audited)} rows" in ended.stdout
    assert "the audit says correct" in ended.stdout


def test_metadata_and_prompts_reach_the_verifier(tmp_path: Path) -> None:
    rows = [{"response": "x", "extra": {"token_count": count}} for count in (5, 15, 30)]
    file = write_lines(tmp_path / "answers.jsonl", [*rows, {"response": "x"}])
    config = tmp_path / "reward.yaml"
    config.write_text(
        "workers: 1\nverifiers: {brief: {type: length, max_length: 20, margin: 10}}\n"
    )
    command = [sys.executable, "-m", "trimtab.cli", "score", str(file), "--config", str(config)]
    ended = subprocess.run(
        [*command, "--metadata-field", "extra", "--no-references"],
        capture_output=True, text=True, cwd=tmp_path, timeout=120,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    scored = verdicts(tmp_path / "answers.scored.parquet")
    assert [row["reward"] for row in scored] == [0.0, -0.5, -1.0, None]
    assert "no verdict" in ended.stdout
    ended = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=120)
    assert ended.returncode == 2
    assert "name it with --references-field" in ended.stderr


def test_all_bad_rows_are_counted_before_anything_is_scored(
    server: Service, tmp_path: Path
) -> None:
    rows: list[dict[str, Any]] = [*ROWS, {"response": 3}, *ROWS, *[{"response": "x"}] * 6]
    ended = score(server, write_lines(tmp_path / "answers.jsonl", rows))
    assert ended.returncode == 2
    assert "has 7 bad rows: row 4 of the file has no text" in ended.stderr
    assert "; and 2 more" in ended.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["answers.jsonl"]


def test_a_config_and_a_target_contradict_each_other(server: Service, tmp_path: Path) -> None:
    file = write_lines(tmp_path / "answers.jsonl", ROWS)
    ended = score(server, file, "--config", "reward.yaml")
    assert ended.returncode == 2
    assert "leave out --reward" in ended.stderr

"""`trimtab check-data` finds everything that a run could not use, before the run."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.services import Service, service
from tests.unit.cli.cli_process import trimtab

LINES = [
    '{"prompt": "1+1=", "answer": "2"}',
    '{"prompt": "a half", "answer": "\\\\frac{1"}',
    '{"prompt": "  ", "answer": 3}',
    '{"prompt": [], "answer": ["3", " ", "x}"]}',
    "no JSON",
    '["a list"]',
    "",
    '{"prompt": "q"}',
    '{"prompt": "q", "answer": null}',
    '{"prompt": [{"role": "user", "content": "q"}], "answer": "7"}',
]
FOUND = [
    (1, "invalid reference", "\\frac{1"),
    (2, "empty prompt", ""),
    (3, "no reference", ""),
    (3, "invalid reference", "x}"),
    (3, "empty prompt", ""),
    (4, "unreadable row", ""),
    (5, "unreadable row", ""),
    (6, "no reference", ""),
    (7, "no reference", ""),
]


@pytest.fixture(scope="module")
def server() -> Iterator[Service]:
    with service("reward_server", "workers=1") as started:
        yield started


def check(server: Service, file: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return trimtab("check-data", str(file), "--reward", server.target, *arguments, cwd=file.parent)


def write(path: Path, lines: list[str]) -> Path:
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


@pytest.mark.parametrize("batch", ["1", "256"])
def test_all_problems_are_named_by_row(server: Service, tmp_path: Path, batch: str) -> None:
    file = write(tmp_path / "train.jsonl", LINES)
    ended = check(server, file, "--json", "--out", "problems.jsonl", "--batch", batch)
    assert ended.returncode == 1, ended.stderr
    found = json.loads(ended.stdout)
    problems = found["problems"]
    assert [(p["row"], p["kind"], p["reference"]) for p in problems] == FOUND
    assert found["rows"] == 9
    assert found["references"] == 6
    assert found["verifier"] == "math"
    assert found["counts"]["no reference"] == 3
    written = (tmp_path / "problems.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in written] == problems


def test_references_are_read_to_their_end(server: Service, tmp_path: Path) -> None:
    references = [r"\sqrt{2}+x", r"x + \times 3", "[1, 2)", r"\frac{1}{1+\sqrt{5}}", "5 +* 3"]
    lines = [json.dumps({"prompt": "q", "answer": reference}) for reference in references]
    ended = check(server, write(tmp_path / "train.jsonl", lines), "--json")
    problems = json.loads(ended.stdout)["problems"]
    assert [(p["row"], p["kind"]) for p in problems] == [
        (1, "invalid reference"),
        (4, "invalid reference"),
    ]


@pytest.mark.parametrize("out", ["problems.jsonl", "problems.parquet"])
def test_odd_text_is_reported_like_any_other(server: Service, tmp_path: Path, out: str) -> None:
    lines = [
        r'{"prompt": "q", "answer": "\\frac{\ud800\u001b[31m"}',
        r'{"answer": "}\u0000\u202e"}',
    ]
    file = write(tmp_path / "train.jsonl", lines)
    ended = check(server, file, "--out", out)
    assert ended.returncode == 1, ended.stderr
    assert "2 x invalid reference" in ended.stdout
    assert "\x1b[31m" not in ended.stdout
    assert "\u202e" not in ended.stdout
    ended = check(server, file, "--json")
    problems = json.loads(ended.stdout)["problems"]
    assert problems[0]["reference"] == "\\frac{\ud800\x1b[31m"


def test_people_get_a_table_and_a_summary(server: Service, tmp_path: Path) -> None:
    file = write(tmp_path / "train.jsonl", LINES)
    ended = check(server, file, "--out", "problems.parquet", "--verifier", "numeric")
    assert ended.returncode == 1, ended.stderr
    assert "9 rows, 6 references checked by numeric (numeric-" in ended.stdout
    assert "2 x empty prompt" in ended.stdout
    rows = pq.read_table(tmp_path / "problems.parquet").to_pylist()
    assert {"row": 5, "kind": "unreadable row", "reference": "",
            "detail": "is not a JSON object"} in rows  # fmt: skip


def test_a_good_file_in_the_verl_layout_is_well(server: Service, tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {
            "prompt": [{"role": "user", "content": f"What is {n} + 1?"}],
            "reward_model": {"ground_truth": str(n + 1), "style": "rule"},
        }
        for n in range(3000)
    ]
    file = tmp_path / "train.parquet"
    pq.write_table(pa.Table.from_pylist(rows), file)
    ended = check(server, file)
    assert ended.returncode == 0, ended.stderr
    assert "3000 rows, 3000 references checked by math" in ended.stdout
    assert "all is well" in ended.stdout
    assert "--prompt-field" not in ended.stderr
    ended = check(server, file, "--limit", "10")
    assert "10 rows, 10 references" in ended.stdout


def test_prompts_are_only_missed_where_there_are_some(server: Service, tmp_path: Path) -> None:
    file = write(tmp_path / "answers.jsonl", ['{"answer": "2", "question": ""}'])
    ended = check(server, file)
    assert ended.returncode == 0, ended.stderr
    assert "there is no column 'prompt'" in ended.stderr
    ended = check(server, file, "--prompt-field", "question")
    assert ended.returncode == 1
    assert "1 x empty prompt" in ended.stdout


def test_a_verifier_that_cannot_say_is_no_all_clear(tmp_path: Path) -> None:
    config = tmp_path / "reward.yaml"
    config.write_text("workers: 1\nverifiers: {brief: {type: length, max_length: 9, margin: 3}}\n")
    file = write(tmp_path / "train.jsonl", ['{"prompt": "q", "answer": "2"}'])
    ended = trimtab("check-data", str(file), "--config", str(config), cwd=tmp_path)
    assert ended.returncode == 1
    assert "1 x could not be checked" in ended.stdout
    assert "verifier_error" in ended.stdout


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--references-field", "gold"], "no column 'gold' (columns: prompt, answer)"),
        (["--prompt-field", "query"], "no column 'query' (columns: prompt, answer)"),
        (["--verifier", "poetry"], "no verifier 'poetry', only math, numeric"),
        (["--out", "problems.csv"], "neither a .parquet nor a .jsonl file"),
        (["--config", "reward.yaml"], "leave out --reward"),
    ],
)
def test_wrong_usage_is_told_apart_from_problems(
    server: Service, tmp_path: Path, arguments: list[str], problem: str
) -> None:
    ended = check(server, write(tmp_path / "train.jsonl", LINES), *arguments)
    assert ended.returncode == 2
    assert problem in ended.stderr


def test_an_empty_file_and_none_are_errors(server: Service, tmp_path: Path) -> None:
    ended = check(server, write(tmp_path / "train.jsonl", []))
    assert ended.returncode == 2
    assert "has no rows" in ended.stderr
    ended = check(server, tmp_path / "nothing.jsonl")
    assert ended.returncode == 2
    assert "there is no file" in ended.stderr


@pytest.mark.slow
@pytest.mark.skipif("TRIMTAB_TEST_DATA" not in os.environ, reason="needs TRIMTAB_TEST_DATA")
def test_real_data_sets_are_read(server: Service, tmp_path: Path) -> None:
    folder = Path(os.environ["TRIMTAB_TEST_DATA"])
    files = sorted(folder.glob("*.parquet"))
    assert files
    for file in files:
        ended = check(server, file, "--json", "--out", str(tmp_path / "problems.parquet"))
        found = json.loads(ended.stdout)
        assert found["rows"] == pq.read_metadata(file).num_rows
        assert found["prompts_checked"]
        assert ended.returncode == (1 if found["problems"] else 0)
        assert pq.read_metadata(tmp_path / "problems.parquet").num_rows == len(found["problems"])

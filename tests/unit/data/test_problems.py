"""Problems from files and generators, and the cursor that goes through them."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from learner.cursor import DataCursor
from trimtab.config.data import DatasetConfig
from trimtab.data.problems import Problem, load_problems
from trimtab.errors import Reason, ServiceError

VERL: list[dict[str, Any]] = [
    {
        "data_source": "made",
        "prompt": [{"role": "system", "content": "be brief"}, {"role": "user", "content": text}],
        "reward_model": {"style": "rule", "ground_truth": answer},
    }
    for text, answer in (("1+1?", "2"), ("2+2?", "4"), ("3+3?", "6"))
]


def parquet(path: Path, rows: list[dict[str, Any]]) -> Path:
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


def jsonl(path: Path, rows: list[Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def load(path: Path, **options: Any) -> list[Problem]:
    return load_problems(DatasetConfig(path=path, **options), field="data.train")


def refusal(path: Path, **options: Any) -> ServiceError:
    with pytest.raises(ServiceError) as caught:
        load(path, **options)
    return caught.value


def test_the_verl_layout_is_the_default(tmp_path: Path) -> None:
    problems = load(parquet(tmp_path / "rows.parquet", VERL))
    assert [problem.row for problem in problems] == [0, 1, 2]
    assert problems[1].prompt == tuple(VERL[1]["prompt"])
    assert [problem.references for problem in problems] == [("2",), ("4",), ("6",)]


def test_jsonl_gives_the_same_as_parquet(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "rows.jsonl", VERL)
    assert load(path) == load(parquet(tmp_path / "rows.parquet", VERL))


@pytest.mark.parametrize(
    ("given", "references"),
    [("x", ("x",)), (7, ("7",)), (0.5, ("0.5",)), (["1/2", 0.5], ("1/2", "0.5"))],
)
def test_references_may_be_one_or_several(
    tmp_path: Path, given: Any, references: tuple[str, ...]
) -> None:
    path = jsonl(tmp_path / "rows.jsonl", [{"q": "?", "gold": {"deep": {"answer": given}}}])
    problems = load(path, prompt_field="q", references_field="gold.deep.answer")
    assert problems == [Problem(0, "?", references)]


def test_lists_of_references_come_from_parquet_too(tmp_path: Path) -> None:
    path = parquet(tmp_path / "rows.parquet", [{"prompt": "?", "answers": ["1", "2"]}])
    assert load(path, references_field="answers")[0].references == ("1", "2")


def test_count_takes_the_first_rows(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "rows.jsonl", [*VERL, {"prompt": "a bad row that is not reached"}])
    assert len(load(path, count=2)) == 2
    assert len(load(path, count=3)) == 3
    assert refusal(path, count=4).reason is Reason.CONFIG_INVALID


@pytest.mark.parametrize(
    ("row", "column", "option"),
    [
        ({"prompt": 3, "answer": "1"}, "'prompt'", "prompt_field"),
        ({"prompt": "", "answer": "1"}, "'prompt'", "prompt_field"),
        ({"prompt": [], "answer": "1"}, "'prompt'", "prompt_field"),
        ({"prompt": [{"role": "user"}], "answer": "1"}, "'prompt'", "prompt_field"),
        ({"answer": "1"}, "'prompt'", "prompt_field"),
        ({"prompt": "?"}, "'answer'", "references_field"),
        ({"prompt": "?", "answer": None}, "'answer'", "references_field"),
        ({"prompt": "?", "answer": []}, "'answer'", "references_field"),
        ({"prompt": "?", "answer": ["1", None]}, "'answer'", "references_field"),
        ({"prompt": "?", "answer": True}, "'answer'", "references_field"),
    ],
)
def test_a_bad_row_is_named(tmp_path: Path, row: dict[str, Any], column: str, option: str) -> None:
    path = jsonl(tmp_path / "rows.jsonl", [{"prompt": "?", "answer": "1"}, row])
    error = refusal(path, references_field="answer")
    assert error.reason is Reason.CONFIG_INVALID
    assert error.field == f"data.train.{option}"
    assert "row 1 of" in error.message
    assert column in error.message


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("rows.jsonl", b'{"prompt": "?"', "line 1 is not JSON"),
        ("rows.jsonl", b'\n\n{"prompt"', "line 3 is not JSON"),
        ("rows.jsonl", b"[1]\n", "line 1 is not a JSON object"),
        ("rows.jsonl", b'{"prompt": "\xff"}\n', "is not UTF-8"),
        ("rows.jsonl", b"", "has no rows"),
        ("rows.parquet", b"no parquet", "cannot read"),
        ("rows.csv", b"a,b\n", "use a .parquet or .jsonl file"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(
    tmp_path: Path, name: str, content: bytes, problem: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    error = refusal(path)
    assert error.reason is Reason.CONFIG_INVALID
    assert error.field == "data.train.path"
    assert str(path) in error.message
    assert problem in error.message


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    error = refusal(tmp_path / "none.jsonl")
    assert error.reason is Reason.FILE_NOT_FOUND
    assert error.field == "data.train.path"


def test_files_outside_the_roots_are_not_opened(tmp_path: Path) -> None:
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    inside.mkdir()
    outside.mkdir()
    secret = jsonl(outside / "rows.jsonl", VERL)
    link = inside / "link.jsonl"
    link.symlink_to(secret)
    good = jsonl(inside / "rows.jsonl", VERL)
    for path in (secret, link, inside / ".." / "outside" / "rows.jsonl", outside / "none.jsonl"):
        with pytest.raises(ServiceError) as caught:
            load_problems(DatasetConfig(path=path), field="data.train", roots=[inside])
        assert caught.value.reason is Reason.PATH_NOT_ALLOWED
    loaded = load_problems(DatasetConfig(path=good), field="data.train", roots=[inside])
    assert len(loaded) == 3


def test_a_generator_needs_no_file() -> None:
    config = DatasetConfig(generator="arithmetic", count=5, seed=2, split="heldout")
    problems = load_problems(config, field="data.train")
    assert len(problems) == 5
    assert problems == load_problems(config, field="data.train")


def test_more_problems_than_a_generator_has_are_refused() -> None:
    config = DatasetConfig(generator="arithmetic", count=10**7)
    with pytest.raises(ServiceError) as caught:
        load_problems(config, field="data.eval.x")
    assert caught.value.reason is Reason.CONFIG_INVALID
    assert caught.value.field == "data.eval.x.count"


PROBLEMS = [Problem(row, f"q{row}", ("a",)) for row in range(7)]


def rows_of(taken: dict[str, Problem]) -> list[int]:
    return [problem.row for problem in taken.values()]


@pytest.mark.parametrize("shuffle", [True, False])
def test_each_pass_goes_through_every_row_once(shuffle: bool) -> None:
    cursor = DataCursor(PROBLEMS, seed=1, shuffle=shuffle)
    rows = rows_of(cursor.take(21))
    passes = [tuple(rows[start : start + 7]) for start in (0, 7, 14)]
    assert all(Counter(one) == Counter(range(7)) for one in passes)
    assert len(set(passes)) == (3 if shuffle else 1)


def test_prompt_ids_never_repeat() -> None:
    cursor = DataCursor(PROBLEMS, seed=1, shuffle=True)
    ids = [prompt_id for _ in range(5) for prompt_id in cursor.take(4)]
    assert len(set(ids)) == 20


@pytest.mark.parametrize("position", range(0, 22, 3))
def test_a_cursor_goes_on_from_any_position(position: int) -> None:
    whole = DataCursor(PROBLEMS, seed=5, shuffle=True).take(25)
    resumed = DataCursor(PROBLEMS, seed=5, shuffle=True)
    resumed.position = position
    assert list(resumed.take(25 - position).items()) == list(whole.items())[position:]


def test_another_seed_is_another_order() -> None:
    first, second = (DataCursor(PROBLEMS, seed=seed, shuffle=True) for seed in (1, 2))
    assert rows_of(first.take(14)) != rows_of(second.take(14))

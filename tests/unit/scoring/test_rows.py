"""Rows of files: what can be judged, what cannot, and reading on from any row."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from trimtab.errors import ConfigError
from trimtab.scoring.files import RowFile
from trimtab.scoring.rows import BadRow, Fault, Fields, Row, RowReader

NOTHING = Fields(response=None, needs_references=False)


def jsonl(path: Path, *values: object) -> Path:
    path.write_text("".join(json.dumps(value) + "\n" for value in values))
    return path


def read(path: Path, fields: Fields = Fields(), **start: int) -> list[Row | BadRow]:  # noqa: B008
    return list(RowReader(RowFile(path), fields).read(**start))


def good(path: Path, fields: Fields = Fields()) -> list[Row]:  # noqa: B008
    rows = read(path, fields)
    assert all(isinstance(row, Row) for row in rows), rows
    return [row for row in rows if isinstance(row, Row)]


@pytest.mark.parametrize(
    ("values", "references"),
    [
        ({"answer": 51}, ["51"]),
        ({"answer": ["1/2", 0.5]}, ["1/2", "0.5"]),
        ({"answer": "7", "references": ["8"]}, ["8"]),
        ({"reward_model": {"ground_truth": "9"}}, ["9"]),
        ({"reward_model.ground_truth": "10", "reward_model": {"ground_truth": "9"}}, ["10"]),
    ],
)
def test_references_are_found(
    tmp_path: Path, values: dict[str, Any], references: list[str]
) -> None:
    [row] = good(jsonl(tmp_path / "a.jsonl", {"response": "x", **values}))
    assert row.references == references


@pytest.mark.parametrize("answer", [None, [], [None], True, ["1", None], {"a": 1}, float("nan")])
def test_what_is_no_reference_is_said(tmp_path: Path, answer: object) -> None:
    path = jsonl(tmp_path / "a.jsonl", {"response": "x", "answer": answer})
    [row] = read(path)
    assert isinstance(row, BadRow)
    assert row.fault is Fault.NO_REFERENCE
    assert "no answer in column 'answer'" in row.problem


def test_decimals_keep_their_digits(tmp_path: Path) -> None:
    table = pa.table({"response": ["x"], "answer": [Decimal("1.50")]})
    pq.write_table(table, tmp_path / "a.parquet")
    [row] = good(tmp_path / "a.parquet")
    assert row.references == ["1.50"]


@pytest.mark.parametrize(
    ("prompt", "text"),
    [
        ("What?", "What?"),
        ([{"role": "system", "content": "Be brief."}, {"role": "user", "content": "What?"}],
         "Be brief.\n\nWhat?"),
        (None, ""),
        (7, ""),
    ],
)  # fmt: skip
def test_prompts_are_texts_or_messages(tmp_path: Path, prompt: object, text: str) -> None:
    path = jsonl(tmp_path / "a.jsonl", {"response": "x", "answer": "1", "prompt": prompt})
    assert good(path)[0].prompt == text


def test_a_prompt_that_is_asked_for_must_be_one(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "a.jsonl", {"question": 7})
    [row] = read(path, Fields(response=None, needs_references=False, prompt="question"))
    assert isinstance(row, BadRow)
    assert row.fault is Fault.NO_PROMPT


def test_metadata_takes_objects_apart(tmp_path: Path) -> None:
    values = {"metadata": {"a": 1}, "extra": {"b": [1, {"c": None}]}, "n": {"token_count": 5}}
    path = jsonl(tmp_path / "a.jsonl", values)
    [plain] = good(path, NOTHING)
    assert plain.metadata == {"a": 1.0}
    named = Fields(response=None, needs_references=False, metadata=("extra", "n.token_count"))
    [row] = good(path, named)
    assert row.metadata == {"b": [1.0, {"c": None}], "token_count": 5.0}


def test_metadata_that_cannot_travel_is_said_where_it_was_asked_for(tmp_path: Path) -> None:
    deep: Any = 1
    for _ in range(50):
        deep = [deep]
    path = jsonl(tmp_path / "a.jsonl", {"metadata": {"deep": deep, "large": 10**400}})
    assert good(path, NOTHING)[0].metadata == {}
    for name, problem in {"metadata.deep": "too deeply", "metadata.large": "a number"}.items():
        fields = Fields(response=None, needs_references=False, metadata=(name,))
        [row] = read(path, fields)
        assert isinstance(row, BadRow)
        assert row.fault is Fault.METADATA
        assert problem in row.problem


def test_lines_that_are_no_rows_do_not_stop_the_others(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    nested = b"[" * 100_000
    lines = [b'{"answer": 1}', b"", b"oops", b"\xff\xfe", b"[]", nested, b'{"answer": 2}']
    path.write_bytes(b"\n".join(lines))
    rows = read(path, Fields(response=None))
    assert [row.number for row in rows] == [0, 1, 2, 3, 4, 5]
    assert [isinstance(row, Row) for row in rows] == [True, False, False, False, False, True]


def test_text_that_is_not_utf8_harms_its_row_only(tmp_path: Path) -> None:
    answers = pa.array([b"1", b"\xff", b"3"], pa.binary()).view(pa.string())
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"answer": answers}), path)
    rows = read(path, Fields(response=None))
    assert [isinstance(row, Row) for row in rows] == [True, False, True]
    assert isinstance(rows[1], BadRow)
    assert "is not UTF-8" in rows[1].problem


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
@pytest.mark.parametrize("group", [7, 100, 1000])
def test_reading_goes_on_from_any_row(tmp_path: Path, kind: str, group: int) -> None:
    values = [{"response": f"r{n}", "answer": n, "other": "x" * n} for n in range(300)]
    if kind == "jsonl":
        path = jsonl(tmp_path / "a.jsonl", *values)
    else:
        path = tmp_path / "a.parquet"
        pq.write_table(pa.Table.from_pylist(values), path, row_group_size=group)
    whole = good(path)
    assert len(whole) == 300
    for start in (0, 1, 6, 7, 99, 100, 250, 299, 300):
        position = whole[start - 1].position if start else 0
        assert read(path, number=start, position=position) == whole[start:]


def test_a_survey_names_the_first_bad_rows_and_counts_them(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "a.jsonl", {"response": "x", "answer": 1}, *[{"response": 1}] * 9)
    with pytest.raises(ConfigError, match=r"9 bad rows: row 1 .*row 5 .*; and 4 more"):
        RowReader(RowFile(path), Fields()).survey()


def test_a_file_that_changes_while_it_is_read_is_noticed(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "a.jsonl", {"answer": 1})
    file = RowFile(path)
    file.check_unchanged()
    with path.open("a") as lines:
        lines.write("{}\n")
    with pytest.raises(ConfigError, match="was changed while it was read"):
        file.check_unchanged()


@pytest.mark.parametrize("name", ["a.csv", "a.parquet", "missing.jsonl"])
def test_a_file_that_cannot_be_read_is_an_error(tmp_path: Path, name: str) -> None:
    if name != "missing.jsonl":
        (tmp_path / name).write_text("no table")
    with pytest.raises(ConfigError, match=name):
        RowFile(tmp_path / name)

"""Partial verdicts: whatever a crash leaves, what is taken up again is whole and in order."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from trimtab.errors import ConfigError
from trimtab.scoring.job import Job
from trimtab.scoring.partial import PartialVerdicts
from trimtab.scoring.pipeline import Judged
from trimtab.scoring.rows import Row
from trimtab.scoring.verdicts import AUDITED_SCHEMA, NOT_AUDITED, SCHEMA, Audit, Verdict

JOB = Job(
    digest="d" * 64, response="response", references=None, needs_references=True, prompt=None,
    metadata=(), verifier="math", version="math-1",
)  # fmt: skip


def judged(start: int, count: int, audits: list[Audit] | None = None) -> Judged:
    rows = [Row(number, "x", ["1"], position=10 * number) for number in range(start, start + count)]
    verdicts = [
        Verdict(
            row=row.number, outcome="correct" if row.number % 3 else "timed_out",
            reward=1.0 if row.number % 3 else None, extracted_answer=str(row.number), detail="",
            cause="", verifier_version="math-1", elapsed_s=0.5, cached=False, confidence=None,
            components=[("a", 0.5)],
        )
        for row in rows
    ]  # fmt: skip
    return Judged(rows, verdicts, audits)


def begun(out: Path, job: Job = JOB, row_count: int = 10) -> PartialVerdicts:
    partial = PartialVerdicts(out)
    assert not partial.resume(job, restart=False)
    partial.begin(job, row_count=row_count, references="answer")
    return partial


def taken_up(out: Path, job: Job = JOB) -> PartialVerdicts:
    partial = PartialVerdicts(out)
    assert partial.resume(job, restart=False)
    return partial


def crash(partial: PartialVerdicts) -> None:
    """What the end of the process does to it: the lock goes, nothing else happens."""
    assert partial._lock is not None
    partial._lock.close()


def test_parts_are_merged_in_one_step(tmp_path: Path) -> None:
    out = tmp_path / "made" / "out.parquet"
    partial = begun(out)
    for start, count in ((0, 4), (4, 5), (9, 1)):
        partial.add(judged(start, count))
        partial.commit()
        assert not out.exists()
    partial.finish()
    partial.close()
    table = pq.read_table(out)
    assert table.schema == SCHEMA
    assert table["row"].to_pylist() == list(range(10))
    assert [path.name for path in out.parent.iterdir()] == ["out.parquet"]


def test_what_was_kept_is_taken_up(tmp_path: Path) -> None:
    out = tmp_path / "out.parquet"
    partial = begun(out)
    partial.add(judged(0, 4))
    partial.commit()
    partial.add(judged(4, 3))
    crash(partial)
    again = taken_up(out)
    assert (again.done_count, again.position) == (4, 30)
    assert (again.row_count, again.references) == (10, "answer")
    assert again.outcomes == {"correct": 2, "timed_out": 2}
    again.add(judged(4, 6))
    again.finish()
    assert pq.read_table(out)["row"].to_pylist() == list(range(10))


def test_closing_keeps_all_that_was_added(tmp_path: Path) -> None:
    out = tmp_path / "out.parquet"
    partial = begun(out)
    partial.add(judged(0, 7))
    partial.close()
    again = taken_up(out)
    assert again.done_count == 7
    again.close()


def test_closing_leaves_no_folder_that_holds_nothing(tmp_path: Path) -> None:
    begun(tmp_path / "out.parquet").close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("cut", [1, 20, 45])
def test_a_journal_line_that_was_cut_does_not_count(tmp_path: Path, cut: int) -> None:
    out = tmp_path / "out.parquet"
    partial = begun(out)
    for start in (0, 4):
        partial.add(judged(start, 4))
        partial.commit()
    crash(partial)
    journal = partial.folder / "journal.jsonl"
    journal.write_bytes(journal.read_bytes()[:-cut])
    again = taken_up(out)
    # Without its line end alone the line is still whole.
    assert again.done_count == (8 if cut == 1 else 4)
    again.add(judged(again.done_count, 10 - again.done_count))
    again.finish()
    assert pq.read_table(out)["row"].to_pylist() == list(range(10))


@pytest.mark.parametrize("damage", ["gone", "cut"])
def test_a_part_that_is_damaged_and_all_behind_it_are_judged_again(
    tmp_path: Path, damage: str
) -> None:
    out = tmp_path / "out.parquet"
    partial = begun(out)
    for start in (0, 3, 6):
        partial.add(judged(start, 3))
        partial.commit()
    crash(partial)
    part = partial.folder / "part-000001.parquet"
    if damage == "gone":
        part.unlink()
    else:
        part.write_bytes(part.read_bytes()[:100])
    again = taken_up(out)
    assert again.done_count == 3
    assert {path.name for path in again.folder.glob("part-*")} == {"part-000000.parquet"}
    again.add(judged(3, 7))
    again.finish()
    assert pq.read_table(out)["row"].to_pylist() == list(range(10))


def test_a_crash_before_the_journal_leaves_nothing_to_take_up(tmp_path: Path) -> None:
    out = tmp_path / "out.parquet"
    crash(begun(out))
    for content in ("", '{"job": {"dig'):
        (tmp_path / "out.parquet.partial" / "journal.jsonl").write_text(content)
        partial = PartialVerdicts(out)
        assert not partial.resume(JOB, restart=False)
        crash(partial)


def test_a_crash_while_merging_loses_nothing(tmp_path: Path) -> None:
    out = tmp_path / "out.parquet"
    partial = begun(out)
    partial.add(judged(0, 10))
    partial.commit()
    (partial.folder / "merged.parquet.tmp").write_bytes(b"half")
    crash(partial)
    kept = tmp_path / "kept"
    shutil.copytree(partial.folder, kept)
    taken_up(out).finish()
    assert pq.read_table(out).num_rows == 10
    # A crash behind the merge, before the folder is gone, merges again.
    kept.rename(partial.folder)
    taken_up(out).finish()
    assert pq.read_table(out).num_rows == 10
    assert [path.name for path in tmp_path.iterdir()] == ["out.parquet"]


def test_rows_that_are_missing_are_noticed(tmp_path: Path) -> None:
    partial = begun(tmp_path / "out.parquet")
    partial.add(judged(0, 9))
    with pytest.raises(ConfigError, match="9 of 10 rows have a verdict"):
        partial.finish()
    partial.close()
    assert not (tmp_path / "out.parquet").exists()


def test_another_job_is_refused_and_leaves_all_as_it_was(tmp_path: Path) -> None:
    out = tmp_path / "out.parquet"
    partial = begun(out)
    partial.add(judged(0, 4))
    partial.close()
    journal = (partial.folder / "journal.jsonl").read_bytes()
    other = PartialVerdicts(out)
    changed = replace(JOB, version="math-2", metadata=("extra",))
    with pytest.raises(ConfigError, match="version was math-1, now math-2") as error:
        other.resume(changed, restart=False)
    assert "--metadata-field was not given, now extra" in str(error.value)
    other.close()
    assert (partial.folder / "journal.jsonl").read_bytes() == journal
    assert not other.resume(changed, restart=True)
    other.begin(changed, row_count=2, references=None)
    other.add(judged(0, 2))
    other.finish()
    assert pq.read_table(out).num_rows == 2


def test_only_one_works_on_an_output(tmp_path: Path) -> None:
    out = tmp_path / "out.parquet"
    partial = begun(out)
    with pytest.raises(ConfigError, match="another command is at work"):
        PartialVerdicts(out).resume(JOB, restart=False)
    with pytest.raises(ConfigError, match="another command is at work"):
        PartialVerdicts(out).resume(JOB, restart=True)
    partial.add(judged(0, 10))
    partial.finish()


def test_audits_have_columns_of_their_own(tmp_path: Path) -> None:
    out = tmp_path / "out.parquet"
    partial = begun(out, replace(JOB, audit="numeric"))
    audits = [NOT_AUDITED] * 9 + [Audit("incorrect", 0.0, "why", "numeric-1", True)]
    partial.add(judged(0, 10, audits))
    partial.finish()
    table = pq.read_table(out)
    assert table.schema == AUDITED_SCHEMA
    assert table["disagrees"].to_pylist() == [None] * 9 + [True]


def test_the_journal_is_plain(tmp_path: Path) -> None:
    partial = begun(tmp_path / "out.parquet")
    partial.add(judged(0, 4))
    partial.commit()
    head, part = map(json.loads, (partial.folder / "journal.jsonl").read_text().splitlines())
    assert Job.from_json(head["job"]) == JOB
    assert part == {
        "part": 0, "rows": 4, "position": 30, "outcomes": {"timed_out": 2, "correct": 2},
    }  # fmt: skip
    partial.close()

import html.parser
import re
from pathlib import Path

import pytest

from tests.unit.report.fixture import make_run
from trimtab.errors import ConfigError
from trimtab.records import RunFolder
from trimtab.report import find_runs, read_runs
from trimtab.report.page import write_report

VOID = {"meta", "link", "br", "hr", "img", "input", "path", "use", "rect"}


class Outline(html.parser.HTMLParser):
    """Collects ids and addresses, and checks that tags are closed in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in VOID:
            self.open.append(tag)
        self._look(attrs)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._look(attrs)

    def _look(self, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id" and value:
                self.ids.append(value)
            if name in ("src", "href", "xlink:href") and value:
                self.links.append(value)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag


def page_of(tmp_path: Path, *folders: RunFolder) -> str:
    out = tmp_path / "page" / "report.html"
    write_report(read_runs(folders), out)
    return out.read_text(encoding="utf-8")


def test_page_shows_runs_before_and_after(tmp_path: Path) -> None:
    grpo = make_run(tmp_path / "grpo")
    steer = make_run(tmp_path / "steer", preset="steer_paper", drop=0.1)
    text = page_of(tmp_path, grpo, steer)
    assert "0.250 → <strong>0.650</strong>" in text
    assert "0.500 → <strong>0.400</strong>" in text
    assert "mean@4" in text
    assert "Samples of steer, heldout" in text
    assert text.count("<svg") == 3


def test_page_is_whole_and_loads_nothing(tmp_path: Path) -> None:
    text = page_of(tmp_path, make_run(tmp_path / "a"), make_run(tmp_path / "b"))
    outline = Outline()
    outline.feed(text)
    assert outline.open == []
    assert len(outline.ids) == len(set(outline.ids))
    assert all(link.startswith("#") and link[1:] in outline.ids for link in outline.links)
    assert not {"script", "link", "img", "iframe"} & set(outline.tags)
    assert "@import" not in text
    assert set(re.findall(r"url\(([^)]*)\)", text)) <= {f"#{name}" for name in outline.ids}


def test_text_of_the_model_is_only_text(tmp_path: Path) -> None:
    text = page_of(tmp_path, make_run(tmp_path / "grpo"))
    assert "<b>50" not in text
    assert "&lt;b&gt;50" in text


def test_samples_of_the_same_problems_stand_side_by_side(tmp_path: Path) -> None:
    [run] = read_runs([make_run(tmp_path / "grpo")])
    [item] = run.evaluated
    assert len(item.answers.shown) == 4
    assert [pair.before.outcome for pair in item.answers.shown if pair.before] == [
        "correct", "correct", "incorrect", "incorrect",
    ]  # fmt: skip
    assert all(pair.after and pair.after.outcome == "correct" for pair in item.answers.shown)


def test_runs_without_evaluations_or_steps_are_reported(tmp_path: Path) -> None:
    empty = RunFolder(tmp_path / "empty")
    empty.write_state({"state": "failed"})
    text = page_of(tmp_path, empty)
    assert "No run was evaluated." in text
    assert "No step has been recorded." in text


def test_one_evaluation_has_no_after(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "grpo", steps=0)
    text = page_of(tmp_path, folder)
    assert "0.250 → <strong>\N{EN DASH}</strong>" in text


def test_values_that_are_not_finite_are_left_out(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "grpo", steps=3)
    folder.append_metrics(4, {"reward/mean": float("nan"), "policy/entropy": float("inf")})
    [run] = read_runs([folder])
    assert [step for step, _ in run.series("reward/mean")] == [1, 2, 3]
    assert "NaN" not in page_of(tmp_path, folder)


def test_runs_of_one_name_get_longer_labels(tmp_path: Path) -> None:
    runs = read_runs([make_run(tmp_path / "one" / "grpo"), make_run(tmp_path / "two" / "grpo")])
    assert [run.label for run in runs] == ["one/grpo", "two/grpo"]


def test_a_folder_of_runs_stands_for_its_runs(tmp_path: Path) -> None:
    make_run(tmp_path / "demo" / "steer")
    make_run(tmp_path / "demo" / "grpo")
    (tmp_path / "demo" / "logs").mkdir()
    assert [run.path.name for run in find_runs(tmp_path / "demo")] == ["grpo", "steer"]


@pytest.mark.parametrize("name", ["nothing", "empty"])
def test_a_folder_without_runs_is_an_error(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match=name):
        find_runs(tmp_path / name)

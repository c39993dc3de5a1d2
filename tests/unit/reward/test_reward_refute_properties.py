"""The refuter beside formulas that are equal, or different, by how they were made."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reward_server.verifiers.extract import last_box
from reward_server.verifiers.mathematics.decide import decide
from reward_server.verifiers.mathematics.references import readable
from reward_server.verifiers.mathematics.refute import refute
from reward_server.verifiers.mathematics.written import written

Pair = tuple[str, str]
"""One formula, written in two ways."""


def same(text: str) -> Pair:
    return text, text


ATOMS = st.one_of(
    st.integers(0, 30).map(lambda n: (str(n), rf"\frac{{{2 * n}}}{{2}}")),
    st.integers(2, 30).map(lambda n: (rf"\sqrt{{{n * n * 3}}}", rf"{n}\sqrt{{3}}")),
    st.integers(1, 9).map(lambda n: (rf"\sqrt{n}", rf"\sqrt{{{n}}}")),
    st.integers(1, 99).map(lambda n: (f"0.{n:02}", rf"\frac{{{n}}}{{100}}")),
    st.integers(1, 20).map(lambda n: (rf"\ln {n}", rf"-\ln\frac{{1}}{{{n}}}")),
    st.integers(1, 11).map(lambda n: (rf"\sin\frac{{{n}\pi}}{{12}}", rf"\sin {15 * n}^\circ")),
    st.integers(1, 6).map(lambda n: (f"{n}!", rf"{n}\cdot {n - 1}!")),
    st.sampled_from("xyzabtn").map(same),
    st.sampled_from([r"\pi", r"\theta", "x_1", "e", "i"]).map(same),
    st.just((r"\pi", r"2\arcsin 1")),
)


def grown(parts: st.SearchStrategy[Pair]) -> st.SearchStrategy[Pair]:
    pairs = st.tuples(parts, parts)
    return st.one_of(
        pairs.map(lambda p: (f"({p[0][0]}+{p[1][0]})", f"({p[1][1]}+{p[0][1]})")),
        pairs.map(lambda p: (f"({p[0][0]}-({p[1][0]}))", rf"-\left({p[1][1]}-({p[0][1]})\right)")),
        pairs.map(lambda p: (f"({p[0][0]})({p[1][0]})", rf"({p[1][1]}) \cdot ({p[0][1]})")),
        pairs.map(
            lambda p: (
                rf"\frac{{{p[0][0]}}}{{{p[1][0]}}}",
                rf"({p[0][1]}) \cdot \dfrac{{1}}{{{p[1][1]}}}",
            )
        ),
        parts.map(lambda p: (f"({p[0]})^2", f"({p[1]})({p[1]})")),
        parts.map(lambda p: (f"({p[0]})^{{3}}", f"({p[1]})^2({p[1]})")),
        parts.map(lambda p: (f"{{{p[0]}}}", rf"({p[1]})(\sin^2 x+\cos^2 x)")),
        parts.map(lambda p: (f"{{{p[0]}}}", rf"2\left(\tfrac12({p[1]})\right)")),
        parts.map(lambda p: (rf"|{{{p[0]}}}|", rf"\left|-({p[1]})\right|")),
    )


FORMULAS = st.recursive(ATOMS, grown, max_leaves=6)


def told_apart(reference: str, answer: str) -> bool:
    return refute(written(reference).readings, written(answer).readings)


@settings(deadline=None)
@given(FORMULAS)
def test_a_formula_is_never_told_apart_from_another_writing(pair: Pair) -> None:
    one, other = pair
    assert not told_apart(one, other)
    assert not told_apart(other, one)
    assert decide(one, other) is not False


@settings(deadline=None)
@given(st.lists(FORMULAS, min_size=2, max_size=4), st.randoms(), st.sampled_from(["()", "[]", ""]))
def test_a_list_is_never_told_apart_from_another_order(
    pairs: list[Pair], random: Any, brackets: str
) -> None:
    mixed = list(pairs)
    random.shuffle(mixed)
    opening, closing = brackets[:1], brackets[1:]
    one = opening + ", ".join(one for one, _ in pairs) + closing
    other = r"\left\{" + ", ".join(other for _, other in mixed) + r"\right\}"
    assert not told_apart(one, other)


@settings(deadline=None)
@given(st.integers(-999, 999), st.integers(1, 99), st.integers(1, 99))
def test_surds_are_told_apart(whole: int, factor: int, step: int) -> None:
    one = rf"{whole}+{factor}\sqrt{{2}}"
    assert told_apart(one, rf"{whole + step}+{factor}\sqrt{{2}}")
    assert told_apart(one, rf"{whole}-{factor}\sqrt{{2}}")
    assert told_apart(f"({one})x", rf"({whole}+{factor + step}\sqrt{{2}})x")


@settings(deadline=None)
@given(st.integers(1, 10**6), st.integers(1, 10**6), st.integers(1, 6))
def test_a_rounded_decimal_is_never_told_apart(above: int, below: int, places: int) -> None:
    rounded = f"{above / below:.{places}f}"
    assert not told_apart(rf"\frac{{{above}}}{{{below}}}", rounded)
    assert not told_apart(rf"x+\frac{{{above}}}{{{below}}}", f"{rounded}+x")


@settings(deadline=None)
@given(st.text(alphabet="\\{}()[]^_+-*/=,;.!%|<>&$~ 0123456789abcdefginopqrstxyzCE", max_size=120))
def test_no_text_raises(text: str) -> None:
    assert decide(text, "42") in {True, False, None}
    assert decide("x+1", text) in {True, False, None}
    assert not told_apart(text, text)


@pytest.fixture(scope="module")
def data() -> Path:
    folder = os.environ.get("TRIMTAB_TEST_DATA")
    if not folder or not Path(folder, "gold_dev.jsonl").exists():
        pytest.skip("TRIMTAB_TEST_DATA names no folder with gold_dev.jsonl")
    return Path(folder)


def rows_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_no_real_answer_is_told_apart_from_itself(data: Path) -> None:
    checked = 0
    for row in rows_of(data / "gold_dev.jsonl"):
        answer = last_box(row["prediction_text"])
        references = readable([row["gold"]])
        if answer and references:
            verdict = decide(references[0], answer)
            assert verdict in {row["expected"], None}, row
            checked += row["expected"]
    assert checked > 1000


def test_no_right_answer_that_graders_agree_on_is_told_apart(data: Path) -> None:
    checked = 0
    for row in rows_of(data / "grading_dev.jsonl"):
        is_agreed = row["expected"] and row["class"] == "agreed"
        references = readable([row["gold"]])
        if is_agreed and references and row["prediction_text"].count("\\boxed") == 1:
            answer = last_box(row["prediction_text"])
            assert answer is None or decide(references[0], answer) is not False, row
            checked += 1
    assert checked > 100

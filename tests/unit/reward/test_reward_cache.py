"""Which questions are the same, and how much is remembered."""

from __future__ import annotations

import pytest

from reward_server.cache import VerdictCache, key_of
from reward_server.verifiers.base import Cause, Outcome, Question, Verdict, failed, judged

RIGHT = judged(Outcome.CORRECT, answer="42")


def question(*texts: str, references: tuple[str, ...] = ("42",), kind: str = "answer") -> Question:
    return Question(kind=kind, texts=texts, references=references)


def test_equal_questions_have_equal_keys() -> None:
    assert key_of("math-1", question("x")) == key_of("math-1", question("x"))


@pytest.mark.parametrize(
    ("version", "other"),
    [
        ("math-2", question("x")),
        ("math-1", question("y")),
        ("math-1", question("x", kind="response")),
        ("math-1", question("x", references=("43",))),
        ("math-1", question("x", references=("42", ""))),
        ("math-1", question("x42", references=("",))),
        ("math-1", question("x", "42", references=())),
        ("math-1", question("", references=("x42",))),
        ("math-1", question("x\x00", references=("42",))),
        ("math-1", question("\ud800", references=("42",))),
    ],
)
def test_whatever_differs_makes_another_key(version: str, other: Question) -> None:
    assert key_of(version, other) != key_of("math-1", question("x"))


def test_only_lasting_verdicts_are_remembered() -> None:
    cache = VerdictCache(max_entries=100, max_bytes=1 << 20)
    passing = (
        Outcome.TIMED_OUT,
        Outcome.RESOURCE_EXHAUSTED,
        Outcome.VERIFIER_ERROR,
        Outcome.UNAVAILABLE,
    )
    for outcome in Outcome:
        verdict = failed(outcome, "", cause=Cause.ITEM)
        cache.put(outcome.encode(), verdict)
        assert cache.get(outcome.encode()) == (None if outcome in passing else verdict)


def test_the_least_recently_used_goes_first() -> None:
    cache = VerdictCache(max_entries=2, max_bytes=1 << 20)
    cache.put(b"1", RIGHT)
    cache.put(b"2", RIGHT)
    cache.get(b"1")
    cache.put(b"3", RIGHT)
    assert [cache.get(key) is not None for key in (b"1", b"2", b"3")] == [True, False, True]


def test_long_texts_take_the_room_of_many_short_ones() -> None:
    cache = VerdictCache(max_entries=1000, max_bytes=20_000)
    for index in range(20):
        cache.put(b"%d" % index, RIGHT)
    assert len(cache) == 20
    long = Verdict(outcome=Outcome.INCORRECT, extracted_answer="9" * 15_000)
    cache.put(b"long", long)
    assert cache.get(b"long") is long
    assert len(cache) < 10
    assert cache.size_bytes <= 20_000
    cache.put(b"huge", Verdict(outcome=Outcome.INCORRECT, detail="9" * 30_000))
    assert (len(cache), cache.size_bytes) == (0, 0)


def test_a_verdict_that_is_put_again_counts_once() -> None:
    cache = VerdictCache(max_entries=10, max_bytes=1 << 20)
    cache.put(b"1", RIGHT)
    size_bytes = cache.size_bytes
    cache.put(b"1", RIGHT)
    assert (len(cache), cache.size_bytes) == (1, size_bytes)

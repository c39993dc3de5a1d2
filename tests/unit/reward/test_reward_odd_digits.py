"""Numerals of every script: no verifier stumbles, and one that does fails its item alone."""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Mapping
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from reward_server.asking import Asker
from reward_server.cache import VerdictCache
from reward_server.judging import Judge
from reward_server.pool import WorkerPool
from reward_server.pools import Pools
from reward_server.processes import Nursery
from reward_server.quarantine import Quarantine
from reward_server.results import Result
from reward_server.sandbox.jacket import Jacket
from reward_server.verifiers import build_verifiers
from reward_server.verifiers.base import Cause, Item, Outcome, Question, Verdict, judged
from trimtab.config.reward import RewardServerConfig

NUMERALS = "".join(
    character
    for character in map(chr, range(sys.maxunicode + 1))
    if unicodedata.category(character) in ("Nd", "Nl", "No")
)
PIECES = (
    *("7", "12", ".", ",", "/", "-", "^", "_", "_{", "{", "}", "(", ")", "e", "x", "=", "%", " "),
    *(r"\frac", r"\sqrt", r"\boxed{", r"\binom", r"\overline{", r"\text{", "&", "\\\\"),
)
VERIFIERS: Mapping[str, Any] = build_verifiers(
    {name: config.model_dump() for name, config in RewardServerConfig().verifiers.items()}
)
texts = st.lists(st.one_of(st.sampled_from(PIECES), st.sampled_from(NUMERALS)), max_size=10)


@given(texts, texts)
@settings(max_examples=400, deadline=None)
def test_no_numeral_makes_a_verifier_raise(answer: list[str], reference: list[str]) -> None:
    response = rf"It is \boxed{{{''.join(answer)}}}, so the answer is {''.join(answer)}"
    item = Item(id="a", response=response, references=("".join(reference),))
    for verifier in VERIFIERS.values():
        assert isinstance(verifier.quick(item), Verdict | Question)


class Stumbling:
    """A verifier with a mistake in it."""

    type = "stumbling"
    version = "stumbling-1"
    options: Mapping[str, Any] = {}
    worker_module = None
    reads_references = False

    def quick(self, item: Item) -> Verdict:
        if item.response == "odd":
            raise ValueError("odd\ntext")
        return judged(Outcome.CORRECT)

    def judge(self, question: Question) -> Verdict:
        raise AssertionError


async def test_a_verifier_that_raises_fails_its_item_alone() -> None:
    nursery = Nursery(
        entry="reward_server.worker", settings={}, jacket=Jacket(memory_bytes=1 << 30)
    )
    pool = Pools(WorkerPool(nursery, workers=0, slow_workers=0, max_items=1), None)
    cache = VerdictCache(max_entries=1, max_bytes=1000)
    judge = Judge(
        {"stumbling": Stumbling()},
        Asker(pool, cache, Quarantine(after_kills=2, max_entries=10, ttl_s=60)),
        item_deadline_s=1.0,
        deadlines_s={},
        max_response_bytes=1000,
        references_limits={},
    )
    results = [judge.begin(Item(id="a", response=text)) for text in ("plain", "odd", "plain")]
    verdicts = [result.verdict for result in results if isinstance(result, Result)]
    assert [verdict.outcome for verdict in verdicts] == [
        Outcome.CORRECT,
        Outcome.VERIFIER_ERROR,
        Outcome.CORRECT,
    ]
    assert verdicts[1].cause is Cause.ITEM
    assert verdicts[1].reward is None
    assert verdicts[1].detail == "the verifier raised ValueError: odd text"

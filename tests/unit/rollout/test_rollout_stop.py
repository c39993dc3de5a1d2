"""Stop strings over tokens that hold parts of characters."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from rollout_server.transformers_engine.stop import StopSearch, cut


def byte_tokenizer() -> Tokenizer:
    """One token a byte: what byte-level BPE falls back to for rare characters."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {character: index for index, character in enumerate(alphabet)}
    tokenizer = Tokenizer(models.BPE(vocabulary, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(["<eos>"])
    return tokenizer


TOKENIZER = byte_tokenizer()
EOS = TOKENIZER.get_vocab()["<eos>"]
WORDS = {1: "ab", 2: "c", 3: "abc", 4: "xab", 5: "cab"}


def decode(token_ids: Sequence[int]) -> str:
    text: str = TOKENIZER.decode(list(token_ids), skip_special_tokens=True)
    return text


def words(token_ids: Sequence[int]) -> str:
    return "".join(WORDS[token_id] for token_id in token_ids)


def stops_after(token_ids: Sequence[int], stop: Sequence[str]) -> int | None:
    """How many tokens it takes to find a stop string."""
    search = StopSearch(stop, decode)
    return next((n for n, token in enumerate(token_ids, 1) if search.push(token)), None)


@given(
    text=st.text(alphabet="ab é😀\n", max_size=30),
    stop=st.lists(st.text(alphabet="ab é😀\n", min_size=1, max_size=4), min_size=1, max_size=3),
)
def test_it_stops_at_the_first_token_that_completes_a_stop_string(
    text: str, stop: list[str]
) -> None:
    ids = TOKENIZER.encode(text).ids
    prefixes = (n for n in range(1, len(ids) + 1) if any(s in decode(ids[:n]) for s in stop))
    assert stops_after(ids, stop) == next(prefixes, None)


def test_a_stop_string_may_span_tokens_and_overlap_itself() -> None:
    ids = TOKENIZER.encode("aaab aab").ids
    assert stops_after(ids, ["aab"]) == 4
    assert stops_after(ids, ["b a"]) == 6


def test_a_stop_string_may_begin_and_end_inside_tokens() -> None:
    search = StopSearch(["bca"], words)
    assert [search.push(token) for token in (4, 5)] == [False, True]
    assert cut(words([4, 5]), ["bca"]) == "xa"


def test_special_tokens_and_broken_bytes_do_not_hide_it() -> None:
    broken = TOKENIZER.encode("é").ids[0]
    ids = [EOS, *TOKENIZER.encode("a").ids, EOS, *TOKENIZER.encode("b").ids]
    assert stops_after(ids, ["ab"]) == 4
    assert stops_after([broken] * 7 + TOKENIZER.encode("ab").ids, ["ab"]) == 9


@pytest.mark.parametrize(
    ("stop", "expected"),
    [(["c"], "ab"), (["cd", "b"], "a"), (["abc", "c"], ""), (["z"], "abcd"), ([], "abcd")],
)
def test_the_text_ends_before_the_first_stop_string(stop: list[str], expected: str) -> None:
    assert cut("abcd", stop) == expected

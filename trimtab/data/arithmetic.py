"""Two-step arithmetic: a generated task with one right answer and a short worked reply.

A prompt is `a+b+c=` or `a+b-c=`; the reply works it out one step at a time, so
`12+34+5=` is answered with `46+5=51`. A hash of the prompt alone decides its split,
so no seed can put a held-out problem into a training set.
"""

import hashlib
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

__all__ = ["Problem", "Split", "problems", "split_of"]

Split: TypeAlias = Literal["train", "heldout"]

_ADDENDS = range(10, 100)
_LAST_TERMS = range(1, 100)
_NUM_CANDIDATES = 2 * len(_ADDENDS) ** 2 * len(_LAST_TERMS)
_HELDOUT_PERCENT = 10


@dataclass(frozen=True, slots=True)
class Problem:
    """One prompt with its worked reply and its answer, such as `12+34+5=`, `46+5=51`, `51`."""

    prompt: str
    solution: str
    answer: str


def split_of(prompt: str) -> Split:
    """Return the split a prompt belongs to; about one prompt in ten is held out."""
    digest = hashlib.sha256(prompt.encode()).digest()
    bucket = int.from_bytes(digest[:8], "big") % 100
    return "heldout" if bucket < _HELDOUT_PERCENT else "train"


def problems(count: int, *, seed: int, split: Split) -> list[Problem]:
    """Return `count` problems of one split with distinct prompts, the same ones for the same seed.

    Raises ValueError for an unknown split, a negative count, or more than the split holds.
    """
    if split not in ("train", "heldout"):
        raise ValueError(f"split must be 'train' or 'heldout', got {split!r}")
    if count < 0:
        raise ValueError(f"count must not be negative, got {count}")
    if count > _NUM_CANDIDATES:
        raise ValueError(f"count is {count}, but at most {_NUM_CANDIDATES} problems exist")
    found: list[Problem] = []
    order = _shuffled_indices(_NUM_CANDIDATES, random.Random(seed))
    while len(found) < count:
        index = next(order, None)
        if index is None:
            raise ValueError(f"count is {count}, but split {split!r} has {len(found)} problems")
        problem = _candidate(index)
        if problem is not None and split_of(problem.prompt) == split:
            found.append(problem)
    return found


def _candidate(index: int) -> Problem | None:
    """Return the problem with this index, or None where the result would be negative."""
    index, c_offset = divmod(index, len(_LAST_TERMS))
    index, b_offset = divmod(index, len(_ADDENDS))
    sign_index, a_offset = divmod(index, len(_ADDENDS))
    a, b, c = _ADDENDS[a_offset], _ADDENDS[b_offset], _LAST_TERMS[c_offset]
    sign, result = ("+", a + b + c) if sign_index == 0 else ("-", a + b - c)
    if result < 0:
        return None
    return Problem(f"{a}+{b}{sign}{c}=", f"{a + b}{sign}{c}={result}", str(result))


def _shuffled_indices(size: int, rng: random.Random) -> Iterator[int]:
    """Yield every index below `size` once, in random order."""
    # A Fisher-Yates shuffle that stores only displaced entries: a few problems out of
    # more than a million cost a few dictionary entries.
    displaced: dict[int, int] = {}
    for last in range(size - 1, -1, -1):
        chosen = rng.randrange(last + 1)
        tail = displaced.pop(last, last)
        if chosen == last:
            yield tail
        else:
            yield displaced.get(chosen, chosen)
            displaced[chosen] = tail

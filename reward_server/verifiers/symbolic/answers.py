"""Whether an answer is the reference, as far as our own grammar reads both."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from itertools import product

from reward_server.verifiers.mathematics.policy import Policy
from reward_server.verifiers.symbolic import units
from reward_server.verifiers.symbolic.compare import Comparer
from reward_server.verifiers.symbolic.cursor import Reading
from reward_server.verifiers.symbolic.grammar import read
from reward_server.verifiers.symbolic.shapes import Shape
from reward_server.verifiers.symbolic.tokens import plain

_COMMAND = re.compile(r"\\(?:text(?:bf|it|rm|normal)?|math(?:rm|bf|it|sf)|mbox|operatorname)\b")
_WORD = re.compile(r"(?<![\\a-zA-Z])[a-zA-Z]{3,}")
_UNWORDED = re.compile(r"[\s${}\\~\"'`\-]|[.,;:](?=\s|$)")
_NOTATION = re.compile(
    r"\\(?:mid|equiv|[pb]?mod|forall|exists|colon|implies|iff|mapsto|Rightarrow|Leftrightarrow|angle"
    r"|triangle|perp|parallel|sim|cong|propto|subset(?:eq)?|deg|mathcal|oplus|otimes|nabla|partial)"
    r"(?![a-zA-Z])"
)
_DELIMITERS = re.compile(r"\\[\[\]()]|\\?\$|\*\*")
_FINAL_STOP = re.compile(r"(?<=[^\s.])\s*[.,;:]\s*$")
_LOGARITHM = re.compile(r"log(?![a-zA-Z_]|\s*_)")
_INNER_COMMA = re.compile(r"\d,\d{3}(?!\d)")


def tell(reference: str, answer: str, policy: Policy) -> bool | None:
    """Whether they are the same; None where this grammar does not read both."""
    gold, found = _bare(reference), _bare(answer)
    if worded(gold) and worded(gold) == worded(found):
        return True
    if policy.units != "lenient":
        gold_unit, found_unit = units.take_off(gold)[1], units.take_off(found)[1]
        if policy.units == "require" and gold_unit != found_unit:
            return False
    elif units.conflict(units.take_off(gold)[1], units.take_off(found)[1]):
        return False
    comparer = Comparer(policy)
    unsure = False
    for reading in _readings(gold, found):
        shapes = [_shape(text, reading) for text in (gold, found)]
        if shapes[0] is None or shapes[1] is None:
            unsure = True
            continue
        verdict = comparer.same(shapes[0], shapes[1])
        if verdict:
            return True
        unsure = unsure or verdict is None
    return None if unsure else False


def readable(reference: str) -> bool:
    """Whether the grammar reads a reference."""
    return _shape(_bare(reference), Reading()) is not None


def is_notation(reference: str) -> bool:
    """Whether it is written with signs that we compare only as they stand."""
    return _NOTATION.search(reference) is not None


def worded(text: str) -> str:
    """A text with words in it in one way of writing; empty if there are no words."""
    bare = _COMMAND.sub(" ", text)
    if not _WORD.search(bare):
        return ""
    return _UNWORDED.sub("", bare).lower().removesuffix(".")


def _bare(text: str) -> str:
    return _FINAL_STOP.sub("", _DELIMITERS.sub(" ", text).strip()).strip()


def _readings(gold: str, found: str) -> Sequence[Reading]:
    """The ways to read both texts."""
    both = (gold, found)
    grouped = (True, False) if any(_INNER_COMMA.search(text) for text in both) else (True,)
    tens = (False, True) if any(_LOGARITHM.search(text) for text in both) else (False,)
    capitals = (False, True) if ("I" in gold) != ("I" in found) else (False,)
    return [Reading(*choice) for choice in product(grouped, tens, capitals)]


@lru_cache(maxsize=4096)
def _shape(text: str, reading: Reading) -> Shape | None:
    try:
        return read(plain(units.take_off(text)[0]), reading)
    except (MemoryError, RecursionError):
        raise
    except Exception:  # noqa: BLE001 - besides Unreadable, sympy raises whatever it likes
        return None

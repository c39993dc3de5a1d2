"""Symbolic comparison by Math-Verify; only worker processes import this module.

Nothing here bounds time or memory: whoever calls it must be able to kill the process. Answers go
through Math-Verify's LaTeX grammar only, never through its plain-text path, which ends in
sympy's `parse_expr`.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import product
from typing import Any

from latex2sympy2_extended.latex2sympy2 import normalize_latex
from math_verify import LatexExtractionConfig, parse, verify
from math_verify.parser import parse_latex_cached

from reward_server.verifiers.base import Outcome, Verdict, failed, judged
from reward_server.verifiers.mathematics.dressing import undress
from reward_server.verifiers.mathematics.pairing import paired
from reward_server.verifiers.mathematics.policy import Policy
from reward_server.verifiers.symbolic.answers import is_notation, readable, tell, worded
from reward_server.verifiers.symbolic.hedges import hedged

logging.getLogger("math_verify").setLevel(logging.CRITICAL)

_CONFIG = LatexExtractionConfig(boxed_match_priority=0)
_NORMALIZATION = replace(_CONFIG.normalization_config, boxed="last")
_EQUALS = re.compile(r"(?<![<>!\\:])=(?!=)")
_LIST = re.compile("[,;]")
_WARM_UP = (
    r"\frac{1}{2}", "3.5", r"x^2+1", r"\sqrt{2}", r"\{1,2\}", r"(0,1]", "1,2", r"2\pi", "x=3",
    r"\begin{pmatrix}1&2\end{pmatrix}", r"10\%", r"\text{A}", r"\sin(x)", r"5\text{ cm}", "x<3",
    r"\text{no real solutions}", "twelve years old or so", r"3 \text{ to } 4", r"\int_0^1 x^2 dx",
    r"\{x : x<2 \text{ or } x>3\}", r"\lim_{x\to0}\frac{\sin x}{x}",
)  # fmt: skip


def compare(references: Sequence[str], answers: Sequence[str], policy: Policy) -> Verdict:
    """Judges an answer, in each way to take it, against references."""
    if not any(_is_readable(reference) for reference in references):
        shown = repr(references[0][:80])
        return failed(Outcome.INVALID_REFERENCE, f"no reference can be parsed: {shown}")
    for reference, answer in product(references, answers):
        gold, found = paired(reference, answer)
        if found and not hedged(gold, found) and _holds(gold, found, policy):
            return judged(Outcome.CORRECT, answer=answer)
    return judged(Outcome.INCORRECT, answer=answers[0])


def check(references: Sequence[str]) -> Verdict:
    """Whether every reference can be parsed: NO_ANSWER if so, for there is nothing to judge."""
    for reference in references:
        if not _is_parsed(reference):
            detail = f"the reference {reference[:80]!r} cannot be parsed"
            return failed(Outcome.INVALID_REFERENCE, detail)
    return judged(Outcome.NO_ANSWER, detail="every reference can be read")


def warm_up() -> None:
    """Builds the grammar's tables, so that forked workers share them."""
    seven = _parsed("7")
    for text in _WARM_UP:
        compare([text], [text], Policy())
        # Our own rules may have told, so that the grammar has not met it.
        _verified(seven, _parsed(text))


def _is_readable(reference: str) -> bool:
    return readable(undress(reference)) or bool(_gold(reference))


def _is_parsed(reference: str) -> bool:
    """Whether a reference is words or notation, or means something to one of the grammars."""
    if readable(reference) or worded(reference) or is_notation(reference):
        return True
    return any(not isinstance(part, str) for part in _gold(reference))


@lru_cache(maxsize=4096)
def _gold(reference: str) -> list[Any]:
    # Raw LaTeX without an anchor would lose its first symbols to the plain-number pattern.
    if "$" in reference:
        found: list[Any] | None = _attempt(
            parse, reference, [_CONFIG], parsing_timeout=None, raise_on_error=True
        )
        return found or []
    return _parsed(reference)


def _parsed(text: str) -> list[Any]:
    """The expression, if it can be read, and its normalised text, as Math-Verify compares them."""
    normalized = normalize_latex(f"\\boxed{{{text}}}", config=_NORMALIZATION)
    if not normalized:
        return []
    expression = _attempt(parse_latex_cached, normalized)
    return [normalized] if expression is None else [expression, normalized]


def _attempt(function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """What the function returns, or None where it cannot cope with the expression.

    Running out of memory or stack is passed on: that is a limit, not a verdict.
    """
    try:
        return function(*arguments, **options)
    except (MemoryError, RecursionError):
        raise
    except Exception:  # noqa: BLE001 - the algebra raises whatever it likes on odd expressions
        return None


def _holds(reference: str, answer: str, policy: Policy) -> bool:
    """By our own rules where they can tell, else by Math-Verify."""
    told = _attempt(tell, reference, answer, policy)
    return _equal(reference, _gold(reference), answer) if told is None else bool(told)


def _equal(reference: str, gold: list[Any], answer: str) -> bool:
    sides = _EQUALS.split(answer)
    if len(sides) > 1 and not _LIST.search(answer) and not _EQUALS.search(reference):
        return _chain_holds(gold, sides)
    return _verified(gold, _parsed(answer))


def _chain_holds(gold: list[Any], sides: Sequence[str]) -> bool:
    """The last side is the answer, and every other side that is a constant agrees with it."""
    *others, last = (_parsed(side) for side in sides)
    if not _verified(gold, last):
        return False
    return all(_verified(gold, other) for other in others if _is_constant(other))


def _is_constant(parsed: list[Any]) -> bool:
    return bool(parsed) and getattr(parsed[0], "is_number", False) is True


def _verified(gold: list[Any], found: list[Any]) -> bool:
    return bool(found) and bool(
        _attempt(verify, gold, found, timeout_seconds=None, raise_on_error=True)
    )

"""The life of a worker process: one item after the other until it is closed or killed."""

from __future__ import annotations

import importlib
import math
from collections.abc import Mapping
from typing import Any

from reward_server import frames
from reward_server.limits import limit_cpu
from reward_server.sandbox.entry import Child
from reward_server.verifiers import build_verifiers
from reward_server.verifiers.base import (
    REWARDED,
    Cause,
    Outcome,
    Question,
    Verdict,
    Verifier,
    failed,
)

_SPENT_SHARE = 0.5
# Algebra libraries swallow MemoryError and then call the answer wrong; this close to the limit that
# is no verdict.
_STARVED_SHARE = 0.75


def prepare(settings: dict[str, Any]) -> dict[str, Verifier]:
    """The verifiers; `settings`: their configs as `verifiers`, modules to warm up as `preload`."""
    for name in settings["preload"]:
        importlib.import_module(name).warm_up()
    return build_verifiers(settings["verifiers"])


def run(child: Child, verifiers: Mapping[str, Verifier]) -> None:
    """Answers until the connection closes."""
    memory_bytes = child.jacket.memory_bytes
    while (request := frames.receive(child.fd)) is not None:
        limit_cpu(request["timeout_s"])
        question = Question(
            kind=request["kind"],
            texts=tuple(request["texts"]),
            references=tuple(request["references"]),
        )
        verdict = judge(verifiers[request["verifier"]], question)
        peak_share = child.memory.peak_bytes() / memory_bytes
        if peak_share > _STARVED_SHARE and verdict.outcome is Outcome.INCORRECT:
            verdict = _starved()
        # Memory once taken is not given back, so a worker that took much makes room.
        spent = peak_share > _SPENT_SHARE or verdict.outcome is Outcome.RESOURCE_EXHAUSTED
        frames.send(child.fd, to_reply(verdict, retire=spent))


def judge(verifier: Verifier, question: Question) -> Verdict:
    """The verdict, whatever the verifier does with the text."""
    try:
        return verifier.judge(question)
    except MemoryError:
        return _starved()
    except RecursionError:
        detail = "the answer is nested too deep"
        return failed(Outcome.RESOURCE_EXHAUSTED, detail, cause=Cause.ITEM)
    except Exception as error:  # noqa: BLE001 - the worker's top: one item's error stays its own
        return failed(
            Outcome.VERIFIER_ERROR, f"the verifier raised {_one_line(error)}", cause=Cause.ITEM
        )


def to_reply(verdict: Verdict, *, retire: bool) -> dict[str, Any]:
    """The verdict as a message; `retire` asks to be replaced."""
    return {
        "outcome": verdict.outcome.value,
        "reward": verdict.reward,
        "answer": verdict.extracted_answer[:1000],
        "detail": verdict.detail[:1000],
        "cause": verdict.cause.value,
        "components": dict(verdict.components),
        "confidence": verdict.confidence,
        "retire": retire,
    }


def from_reply(reply: Mapping[str, Any]) -> Verdict:
    """The verdict of a message.

    Raises:
        frames.BadFrame: it is none.
    """
    try:
        verdict = Verdict(
            outcome=Outcome(reply["outcome"]),
            reward=None if reply["reward"] is None else float(reply["reward"]),
            extracted_answer=str(reply["answer"]),
            detail=str(reply["detail"]),
            cause=Cause(reply["cause"]),
            components={str(k): float(v) for k, v in reply["components"].items()},
            confidence=None if reply["confidence"] is None else float(reply["confidence"]),
        )
        numbers = [*verdict.components.values(), verdict.reward or 0.0, verdict.confidence or 0.0]
        if not all(map(math.isfinite, numbers)):
            raise ValueError("a number that is none")
        if (verdict.reward is None) == (verdict.outcome in REWARDED):
            raise ValueError("a reward where there is none, or none where there is one")
        "".join(verdict.components).encode()
    except (AttributeError, KeyError, ValueError, TypeError) as error:
        raise frames.BadFrame("a reply that is no verdict") from error
    return verdict


def _starved() -> Verdict:
    detail = "the answer needs more memory than a worker may use"
    return failed(Outcome.RESOURCE_EXHAUSTED, detail, cause=Cause.ITEM)


def _one_line(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:300]

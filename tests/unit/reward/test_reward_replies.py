"""What the server believes of what a worker says, and how it hands it on."""

from __future__ import annotations

import json
from typing import Any

import pytest

from reward_server.frames import BadFrame
from reward_server.results import MAX_TEXT_CHARS, Result, shortened
from reward_server.service import to_message
from reward_server.verifiers.base import Outcome, Verdict, failed, judged
from reward_server.worker import from_reply, to_reply


def reply(**changes: Any) -> dict[str, Any]:
    said = {**to_reply(judged(Outcome.CORRECT, answer="42"), retire=False), **changes}
    heard: dict[str, Any] = json.loads(json.dumps(said))
    return heard


def test_a_verdict_survives_the_way() -> None:
    for verdict in (
        judged(Outcome.INCORRECT, answer="x", detail="no", components={"a": 0.5}),
        failed(Outcome.INVALID_REFERENCE, "none"),
        Verdict(outcome=Outcome.SCORED, reward=-0.25, confidence=0.5),
    ):
        assert from_reply(to_reply(verdict, retire=False)) == verdict


@pytest.mark.parametrize(
    "changes",
    [
        {"reward": float("nan")},
        {"reward": float("inf")},
        {"reward": None},
        {"outcome": "TIMED_OUT"},
        {"outcome": "SPLENDID"},
        {"cause": "NOBODY"},
        {"components": {"a": float("nan")}},
        {"components": {"\ud800": 1.0}},
        {"components": [1.0]},
        {"confidence": float("inf")},
        {"reward": "much"},
    ],
)
def test_what_is_no_verdict_is_not_believed(changes: dict[str, Any]) -> None:
    with pytest.raises(BadFrame):
        from_reply(reply(**changes))


@pytest.mark.parametrize("text", ["\ud800", "a\udfffb", "\x00", "\u202e\u0661", "9" * 5000])
def test_any_text_can_travel(text: str) -> None:
    verdict = shortened(from_reply(reply(answer=text, detail=text)))
    message = to_message(Result(id="1", verdict=verdict))
    assert len(message.extracted_answer) <= MAX_TEXT_CHARS
    assert message.detail == message.extracted_answer
    assert message.SerializeToString()

"""Known answers: items whose outcome or reward the caller knows."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from google.protobuf import json_format

from trimtab.common.v1.outcome_pb2 import Outcome
from trimtab.conformance.model import Broken, Level, check
from trimtab.errors import ConfigError
from trimtab.reward.v1 import reward_pb2

if TYPE_CHECKING:
    from trimtab.conformance.peer import Peer

_CALL_ITEMS = 64
_TOLERANCE = 1e-6
_SHOWN = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """An item and what must come of it."""

    item: reward_pb2.ScoreItem
    """What is sent."""
    outcome: int | None
    """The outcome; None: any."""
    reward: float | None
    """The reward; None: any."""


def read_cases(path: Path) -> list[Case]:
    """The cases of a .jsonl file: on each line the fields of a ScoreItem, `outcome`, `reward`.

    Raises:
        ConfigError: the file cannot be read, or a line does not hold; names the line.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot be read: {error}", source=str(path)) from error
    cases = [_case(line, path, number) for number, line in enumerate(lines, 1) if line.strip()]
    if not cases:
        raise ConfigError("holds no cases", source=str(path))
    return cases


def _case(line: str, path: Path, number: int) -> Case:
    source = f"{path}, line {number}"
    try:
        values: Any = json.loads(line)
    except ValueError as error:
        raise ConfigError(f"not JSON: {error}", source=source) from error
    if not isinstance(values, dict):
        raise ConfigError("not a JSON object", source=source)
    outcome = _outcome(values.pop("outcome", None), source)
    reward = _reward(values.pop("reward", None), source)
    if outcome is None and reward is None:
        raise ConfigError("says neither `outcome` nor `reward`", source=source)
    values.setdefault("id", f"case-{number}")
    try:
        item = json_format.ParseDict(values, reward_pb2.ScoreItem())
    except json_format.ParseError as error:
        raise ConfigError(f"not a ScoreItem: {error}", source=source) from error
    return Case(item=item, outcome=outcome, reward=reward)


def _outcome(value: Any, source: str) -> int | None:
    if value is None:
        return None
    name = f"OUTCOME_{str(value).upper().removeprefix('OUTCOME_')}"
    if name not in Outcome.keys() or not Outcome.Value(name):  # noqa: SIM118 - an enum wrapper
        raise ConfigError(f"no outcome is named {value!r}", field="outcome", source=source)
    return Outcome.Value(name)


def _reward(value: Any, source: str) -> float | None:
    if value is None:
        return None
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value):
        raise ConfigError(f"{value!r} is not a finite number", field="reward", source=source)
    return float(value)


@check(
    "known-answers",
    level=Level.REQUIRED,
    contract="",
    mend="The file of --cases says what these items deserve: mend the verifier, or the file.",
)
async def known_answers(peer: Peer) -> str:
    """Scores the cases and compares."""
    cases = peer.options.cases
    wrong: list[str] = []
    for start in range(0, len(cases), _CALL_ITEMS):
        part = cases[start : start + _CALL_ITEMS]
        results = await _scored(peer, part)
        for case, result in zip(part, results, strict=True):
            if problem := _problem(case, result):
                wrong.append(f"{case.item.id}: {problem}")
    if wrong:
        more = f" and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
        raise Broken(f"{len(wrong)} of {len(cases)}: {'; '.join(wrong[:_SHOWN])}{more}")
    return f"all {len(cases)} as expected"


async def _scored(peer: Peer, cases: Sequence[Case]) -> list[reward_pb2.ScoreResult]:
    """Ids in the file may repeat: each is sent as a number, and the verifier filled in."""
    items = []
    for index, case in enumerate(cases):
        item = reward_pb2.ScoreItem()
        item.CopyFrom(case.item)
        item.id = str(index)
        item.verifier = item.verifier or peer.options.verifier
        items.append(item)
    answers = await peer.answers(items)
    return [answers[item.id] for item in items]


def _problem(case: Case, result: reward_pb2.ScoreResult) -> str:
    name = Outcome.Name(result.outcome).removeprefix("OUTCOME_")
    detail = f" ({result.detail[:80]})" if result.detail else ""
    if case.outcome is not None and result.outcome != case.outcome:
        wanted = Outcome.Name(Outcome.ValueType(case.outcome)).removeprefix("OUTCOME_")
        return f"{name}{detail}, not {wanted}"
    if case.reward is None:
        return ""
    if not result.HasField("reward"):
        return f"{name}{detail} without a reward, not {case.reward:g}"
    if not math.isclose(result.reward, case.reward, rel_tol=_TOLERANCE, abs_tol=_TOLERANCE):
        return f"a reward of {result.reward:g}, not {case.reward:g}"
    return ""

"""A run's state, and the events that watchers see."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from trimtab.common.v1 import weights_pb2
from trimtab.records import RunFolder

_NOT_METRICS = frozenset({"step", "time", "dataset"})


class State(StrEnum):
    """How a run stands."""

    STARTING = "starting"
    RUNNING = "running"
    FINISHED = "finished"
    STOPPED = "stopped"
    FAILED = "failed"
    INTERRUPTED = "interrupted"


ENDED = frozenset({State.FINISHED, State.STOPPED, State.FAILED, State.INTERRUPTED})
"""States of runs that no driver works on."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened in a run."""

    kind: str
    """"step", "evaluation", "rollback" or "state"."""
    step: int
    """Which step; for an evaluation, after which."""
    time: str = ""
    """When it was recorded, ISO 8601."""
    metrics: Mapping[str, float] = field(default_factory=dict)
    """By name."""
    dataset: str = ""
    """Of an evaluation."""
    rolled_back_step: int = 0
    """Of a rollback: the last step that was taken back."""


class Run:
    """A run as its server knows it; everything durable is in its folder."""

    def __init__(self, name: str, folder: RunFolder, *, external: bool, step_count: int) -> None:
        """A new run in state STARTING; nothing is written yet."""
        self.name = name
        self.folder = folder
        self.external = external
        self.step_count = step_count
        self.state = State.STARTING
        self.step = 0
        self.durable_step = 0
        self.lineage = ""
        self.weights: weights_pb2.WeightsId | None = None
        self.error = ""
        self.created_s = time.time()
        self.events: list[Event] = []
        self._changed = asyncio.Condition()

    @classmethod
    def recorded(cls, root: Path, folder: RunFolder) -> Run:
        """A run that its folder tells of; one that was running then is INTERRUPTED now."""
        state = folder.read_state()
        name = str(folder.path.relative_to(root))
        run = cls(
            name,
            folder,
            external=bool(state.get("external")),
            step_count=int(state.get("step_count", 0)),
        )
        known = State(state.get("state", State.INTERRUPTED))
        run.state = known if known in ENDED else State.INTERRUPTED
        run.error = str(state.get("error", ""))
        run.created_s = float(state.get("created_s", 0.0))
        run.lineage = str(state.get("lineage", ""))
        run.events = recorded_events(folder)
        run.step = max((event.step for event in run.events if event.kind == "step"), default=0)
        return run

    @property
    def active(self) -> bool:
        """True while a driver works on it."""
        return self.state not in ENDED

    def write_state(self) -> None:
        """Makes the state durable."""
        self.folder.write_state(
            {
                "state": self.state,
                "external": self.external,
                "step_count": self.step_count,
                "lineage": self.lineage,
                "error": self.error,
                "created_s": self.created_s,
            }
        )

    async def add(self, event: Event) -> None:
        """Tells watchers of an event that has been recorded."""
        self.events.append(event)
        await self._notify()

    async def change(self, state: State, error: str = "") -> None:
        """Enters another state, durably."""
        self.state, self.error = state, error
        self.write_state()
        await self.add(Event("state", self.step))

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    async def watch(self, from_step: int) -> AsyncIterator[Event]:
        """Events from a step on, past and coming, until the run ends."""
        seen = 0
        while True:
            while seen < len(self.events):
                event = self.events[seen]
                seen += 1
                if event.kind != "step" or event.step >= from_step:
                    yield event
            if not self.active:
                return
            async with self._changed:
                if seen == len(self.events) and self.active:
                    await self._changed.wait()

    async def wait_ended(self) -> None:
        """Returns once no driver works on the run any more."""
        async with self._changed:
            await self._changed.wait_for(lambda: not self.active)


def recorded_events(folder: RunFolder) -> list[Event]:
    """What the folder tells, rollbacks first, then by step."""
    events = [
        Event("rollback", row["step"], rolled_back_step=row["rolled_back_step"])
        for row in folder.rollbacks()
    ]
    rows = [(row["step"], 0, "step", row) for row in folder.metrics()]
    rows += [(row["step"], 1, "evaluation", row) for row in folder.evaluations()]
    rows.sort(key=lambda entry: entry[:2])
    for step, _, kind, row in rows:
        events.append(
            Event(kind, step, row.get("time", ""), _numbers(row), dataset=row.get("dataset", ""))
        )
    return events


def _numbers(row: Mapping[str, Any]) -> dict[str, float]:
    return {
        key: float(value)
        for key, value in row.items()
        if key not in _NOT_METRICS and isinstance(value, int | float)
    }

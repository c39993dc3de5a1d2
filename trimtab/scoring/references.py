"""Finds the rows of a data set that no verifier could judge, before a run meets them."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from enum import StrEnum
from itertools import islice
from typing import NamedTuple

from trimtab.scoring.pipeline import judged
from trimtab.scoring.rows import PROMPT_FIELD, BadRow, Fault, Row, RowReader
from trimtab.scoring.verdicts import Verdict
from trimtab.scoring.verifier import Verifier

CHECK_REFERENCES = "check_references"
"""Metadata that asks a verifier for its word on the reference alone."""
_CHECKED = frozenset({"correct", "incorrect", "no_answer", "scored", "abstained"})
_INVALID = "invalid_reference"
_LATE = "timed_out"
_SECOND_LOOKS = 200


class Kind(StrEnum):
    """What is wrong with a row of a data set."""

    UNREADABLE = "unreadable row"
    NO_REFERENCE = "no reference"
    INVALID_REFERENCE = "invalid reference"
    NO_PROMPT = "empty prompt"
    METADATA = "metadata"
    NOT_CHECKED = "could not be checked"


_KINDS = {
    Fault.UNREADABLE: Kind.UNREADABLE,
    Fault.NO_RESPONSE: Kind.UNREADABLE,
    Fault.NO_REFERENCE: Kind.NO_REFERENCE,
    Fault.NO_PROMPT: Kind.NO_PROMPT,
    Fault.METADATA: Kind.METADATA,
}


class Problem(NamedTuple):
    """Something wrong with a row."""

    row: int
    """Where it stands, from 0; empty lines do not count."""
    kind: Kind
    """What is wrong."""
    reference: str
    """The reference that it is about; empty if it is about none."""
    detail: str
    """Why, in one line."""


class DataCheck:
    """One pass over a data set."""

    def __init__(self, reader: RowReader, verifier: Verifier, *, limit: int | None = None) -> None:
        """Looks at the first `limit` rows, or at all. The reader reads no responses."""
        self._reader = reader
        self._verifier = verifier
        self._limit = limit
        self.row_count = 0
        """Rows that were looked at."""
        self.reference_count = 0
        """References that the verifier was asked about."""
        self._problems: list[Problem] = []
        self._without_prompt: list[int] = []
        self._prompt_count = 0
        self._asked: deque[int] = deque()

    @property
    def checks_prompts(self) -> bool:
        """False if the data set seems to have no prompts."""
        columns = self._reader.file.column_names
        is_named = self._reader.fields.prompt is not None
        return is_named or bool(self._prompt_count) or PROMPT_FIELD in columns

    @property
    def problems(self) -> list[Problem]:
        """What was found, by row."""
        found = list(self._problems)
        if self.checks_prompts:
            found += [Problem(row, Kind.NO_PROMPT, "", "") for row in self._without_prompt]
        return sorted(found, key=lambda problem: problem.row)

    async def run(self, *, batch: int, in_flight: int) -> AsyncGenerator[Counter[str], None]:
        """Looks at every row; after each batch gives what became of the references so far.

        Raises:
            ConfigError: the file cannot be read, or lacks a column.
            RemoteError: the server stays out of reach.
        """
        found: Counter[str] = Counter()
        late: list[tuple[int, Row]] = []
        batches = judged(self._questions(), self._verifier, batch=batch, in_flight=in_flight)
        async with aclosing(batches):
            async for done in batches:
                for row, verdict in zip(done.rows, done.verdicts, strict=True):
                    number = self._asked.popleft()
                    if verdict.outcome == _LATE and len(late) < _SECOND_LOOKS:
                        late.append((number, row))
                    else:
                        found[self._note(number, row, verdict)] += 1
                yield found
        self._reader.check_columns()
        # One by one: what took too long beside others may be in time alone.
        for number, row in late:
            [verdict] = await self._verifier.verdicts([row])
            found[self._note(number, row, verdict)] += 1
            yield found

    def _questions(self) -> Iterator[Row]:
        """Each reference as a row of its own; notes on the way what needs no verifier."""
        for row in islice(self._reader.read(), self._limit):
            self.row_count += 1
            if isinstance(row, BadRow):
                self._problems.append(Problem(row.number, _KINDS[row.fault], "", row.problem))
                continue
            if row.prompt.strip():
                self._prompt_count += 1
            else:
                self._without_prompt.append(row.number)
            metadata = {**row.metadata, CHECK_REFERENCES: True}
            for reference in row.references:
                if not reference.strip():
                    problem = Problem(row.number, Kind.NO_REFERENCE, "", "the reference is empty")
                    self._problems.append(problem)
                    continue
                self._asked.append(row.number)
                yield Row(
                    number=self.reference_count,
                    response="",
                    references=[reference],
                    prompt=row.prompt,
                    metadata=metadata,
                )
                self.reference_count += 1

    def _note(self, number: int, row: Row, verdict: Verdict) -> str:
        """Notes a problem of row `number`, if there is one; names what there is."""
        if verdict.outcome in _CHECKED:
            return "fine"
        kind, detail = Kind.INVALID_REFERENCE, verdict.detail
        if verdict.outcome != _INVALID:
            kind, detail = Kind.NOT_CHECKED, f"{verdict.outcome}: {verdict.detail}"
        self._problems.append(Problem(number, kind, row.references[0], detail))
        return kind

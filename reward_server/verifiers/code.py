"""Runs model-written Python against tests. Finding the program and the tests takes no process."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

from reward_server.programs.comparing import Rules
from reward_server.programs.json_tests import read_suite
from reward_server.programs.plan import Plan
from reward_server.programs.source import last_program
from reward_server.programs.suites import BadSuite, Suite
from reward_server.verifiers.base import (
    Item,
    Outcome,
    Question,
    Verdict,
    failed,
    judged,
    version_of,
)
from reward_server.verifiers.extract import strip_thinking

REVISION = 1
_ENTRY_POINTS = ("fn_name", "func_name", "entry_point")
_MAX_CACHED_CHARS = 1 << 25
_MAX_QUICK_CHARS = 1 << 14  # longer references are read beside the event loop
_NO_PROGRAM = judged(Outcome.NO_ANSWER, detail="the response holds no block of Python")


class CodeVerifier:
    """The `code` verifier. Its questions are for a `ProgramPool`, not for workers."""

    type = "code"
    worker_module: str | None = None
    reads_references = True

    def __init__(self, options: Mapping[str, Any]) -> None:
        """`options`: those of `CodeVerifierConfig`."""
        self.options = dict(options)
        self.version = version_of(self.type, REVISION, options)
        self._suites = _SuiteCache(options["max_tests"])

    def quick(self, item: Item) -> Verdict | Question:
        """The program and its tests, or the verdict where one of them is missing."""
        entry_point = next((str(v) for key in _ENTRY_POINTS if (v := item.metadata.get(key))), "")
        is_read = not self._takes_long(item.references, entry_point)
        if is_read:
            try:
                self._read(item.references, entry_point)
            except BadSuite as error:
                return failed(Outcome.INVALID_REFERENCE, str(error))
        spoken = item.response
        if self.options["strip_thinking"]:
            spoken = strip_thinking(item.response) or ""
        program = last_program(spoken)
        if program is None and self.options["fence"] == "optional" and spoken.strip():
            program = spoken
        if program is None and is_read:
            return _NO_PROGRAM
        limit_s = self.options["total_timeout_s"]
        limit_s = min(item.timeout_s or limit_s, limit_s)
        # The verdict depends on the limit too.
        texts = (program or "", entry_point, repr(limit_s))
        kind = "references" if program is None else "program"
        return Question(kind=kind, texts=texts, references=item.references)

    def judge(self, question: Question) -> Verdict:
        """Is never asked: no worker runs programs."""
        raise AssertionError(f"a question to {self.type} in a worker: {question.kind}")

    def plans_long(self, question: Question) -> bool:
        """Whether `plan` takes longer than an event loop can wait."""
        return self._takes_long(question.references, question.texts[1])

    def plan(self, question: Question) -> Plan | Verdict:
        """What is to be done for a question, or the verdict where that is nothing; any thread."""
        program, entry_point, limit_s = question.texts
        options = self.options
        try:
            suites = self._read(question.references, entry_point)
        except BadSuite as error:
            return failed(Outcome.INVALID_REFERENCE, str(error))
        if question.kind == "references":
            return _NO_PROGRAM
        return Plan(
            program=program,
            suites=suites,
            timeout_s=options["timeout_s"],
            total_timeout_s=float(limit_s),
            memory_bytes=options["memory_bytes"],
            max_output_bytes=options["max_output_bytes"],
            rules=Rules(options["float_tolerance"], options["strict_types"]),
            partial=options["partial"],
            run_all=options["partial"] or not options["stop_at_first_failure"],
        )

    def _takes_long(self, references: Sequence[str], entry_point: str) -> bool:
        if sum(map(len, references)) <= _MAX_QUICK_CHARS:
            return False
        return not all(self._suites.knows(reference, entry_point) for reference in references)

    def _read(self, references: Sequence[str], entry_point: str) -> list[Suite]:
        """The suites, each of which is an alternative.

        Raises:
            BadSuite: none is given, or one cannot be read.
        """
        if not references:
            raise BadSuite("no reference is given")
        suites = [self._suites.get(reference, entry_point) for reference in references]
        for suite in suites:
            limit = self.options["max_output_bytes"]
            for test in suite.inputs:
                if 4 * len(test.output) > limit and len(test.output.encode()) > limit:
                    raise BadSuite(f"{test.where}: its output is over max_output_bytes, {limit}")
        return suites


class _SuiteCache:
    """The suites that were read last: the samples of a group share one. Threads may share it."""

    def __init__(self, max_tests: int | None) -> None:
        self._max_tests = max_tests
        self._suites: OrderedDict[tuple[str, str], Suite] = OrderedDict()
        self._char_count = 0
        self._lock = threading.Lock()

    def knows(self, reference: str, entry_point: str) -> bool:
        return (reference, entry_point) in self._suites

    def get(self, reference: str, entry_point: str) -> Suite:
        key = (reference, entry_point)
        with self._lock:
            if (known := self._suites.get(key)) is not None:
                self._suites.move_to_end(key)
                return known
        suite = read_suite(reference, entry_point or None, max_tests=self._max_tests)
        with self._lock:
            self._keep(key, suite)
        return suite

    def _keep(self, key: tuple[str, str], suite: Suite) -> None:
        if key in self._suites:  # another thread has read it meanwhile
            return
        self._suites[key] = suite
        self._char_count += len(key[0])
        while self._char_count > _MAX_CACHED_CHARS and len(self._suites) > 1:
            (oldest, _), _ = self._suites.popitem(last=False)
            self._char_count -= len(oldest)

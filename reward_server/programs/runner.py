"""Tests one program. Each input gets a process of its own; the calls of a suite share one."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any

from reward_server.processes import Nursery, SpawnFailed
from reward_server.programs.comparing import same_output
from reward_server.programs.plan import Plan, Report
from reward_server.programs.process import (
    Budget,
    Disturbed,
    Failure,
    NotReady,
    Patience,
    ProgramProcess,
    SlowStarts,
)
from reward_server.programs.suites import CallTest, InputTest, Suite
from reward_server.sandbox.jacket import Jacket
from reward_server.sandbox.levels import Level
from reward_server.verifiers.base import Outcome, Verdict, failed, judged

_MAX_START_ATTEMPTS = 10
_LARGE_CHARS = 1 << 16
_MAX_REASON_CHARS = 1000
_MAX_SHOWN_CHARS = 120


PROGRAM_ENVIRONMENT = {"PYTHONHASHSEED": "0", "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
"""Makes runs repeatable, and keeps libraries from starting threads in the zygote."""
_MAX_FILE_BYTES = 32 << 20  # standard input is one of the files
_MAX_OPEN_FILES = 64
_MAX_THREADS = 32


def program_jacket(memory_limits_bytes: Sequence[int]) -> Jacket:
    """The jacket of processes that run programs, of which each limits its memory further."""
    return Jacket(
        memory_bytes=max(memory_limits_bytes),
        file_bytes=_MAX_FILE_BYTES,
        open_files=_MAX_OPEN_FILES,
        threads=_MAX_THREADS,
    )


class Unsafe(Exception):
    """A process came up less locked in than programs must be."""


class ProgramRunner:
    """Runs programs in fresh processes of a nursery."""

    def __init__(self, nursery: Nursery, *, min_level: Level) -> None:
        """No program is run below `min_level`."""
        self._nursery = nursery
        self._min_level = min_level

    async def run(self, plan: Plan) -> Verdict:
        """The verdict on a program; a cancellation leaves no process behind."""
        trial = _Trial(self, plan)
        reports: list[Report] = []
        try:
            for suite in plan.suites:
                reports.append(await trial.run(suite))
                if not reports[-1].failure:
                    break
        except SpawnFailed as error:
            return failed(Outcome.UNAVAILABLE, f"no process for the program: {error}")
        except Unsafe as error:
            return failed(Outcome.VERIFIER_ERROR, str(error))
        except SlowStarts as error:
            return failed(Outcome.TIMED_OUT, str(error))
        return verdict_of(plan, reports)

    async def begin(self, request: dict[str, Any], budget: Budget) -> ProgramProcess:
        """A process in which a program begins.

        Raises:
            SpawnFailed: none comes up.
            Unsafe: it is locked in too badly.
        """
        for _ in range(_MAX_START_ATTEMPTS - 1):
            with contextlib.suppress(SpawnFailed):
                return await self._begin(request, budget)
        return await self._begin(request, budget)

    async def _begin(self, request: dict[str, Any], budget: Budget) -> ProgramProcess:
        worker = await self._nursery.spawn(private_dir=True)
        process = ProgramProcess(self._nursery, worker, budget)
        try:
            if worker.fit.level < self._min_level:
                lacks = "; ".join(worker.fit.lacks)
                raise Unsafe(f"programs run at level {self._min_level.name} at least: {lacks}")
            await process.send(request)
        except NotReady as error:
            await process.close()
            raise SpawnFailed(str(error)) from error
        except BaseException:
            await process.close()
            raise
        return process


class _Trial:
    """One program's way through its tests."""

    def __init__(self, runner: ProgramRunner, plan: Plan) -> None:
        self._runner = runner
        self._plan = plan
        self._budget = Budget(plan.timeout_s, plan.total_timeout_s)

    async def run(self, suite: Suite) -> Report:
        """The report; an empty failure is a test that is passed."""
        run = self._run_calls(suite.calls) if suite.calls else self._run_inputs(suite.inputs)
        failures = await run
        first = next((failure for failure in failures if failure), "")
        return Report(len(suite), failures.count(""), first)

    async def _run_inputs(self, tests: Sequence[InputTest]) -> list[str]:
        failures: list[str] = []
        for test in tests:
            failures.append(await self._run_input(test))
            if self._is_settled(failures):
                break
        return failures

    async def _run_input(self, test: InputTest) -> str:
        patience = Patience()
        while True:
            try:
                output = await self._output(test)
                break
            except Failure as failure:
                return f"{test.where}: {failure}"
            except Disturbed as disturbance:
                if patience.ends_with(disturbance):
                    return f"{test.where}: {disturbance}"
        text = output.decode(errors="replace")
        arguments = (test.output, text, self._plan.rules.float_tolerance)
        if len(text) > _LARGE_CHARS:  # the event loop must not wait for it
            difference = await asyncio.to_thread(same_output, *arguments)
        else:
            difference = same_output(*arguments)
        return difference and f"{test.where}: {difference}"

    async def _output(self, test: InputTest) -> bytes:
        async with self._process({"input": test.text}) as process:
            return await process.output(self._plan.max_output_bytes)

    async def _run_calls(self, tests: Sequence[CallTest]) -> list[str]:
        failures: list[str] = []
        patience, disturbed_at = Patience(), -1
        while len(failures) < len(tests) and not self._is_settled(failures):
            at = len(failures)
            try:
                await self._answer_calls(tests[at:], failures)
            except Disturbed as disturbance:
                at = len(failures)
                if at != disturbed_at:
                    patience, disturbed_at = Patience(), at
                if patience.ends_with(disturbance):
                    failures.append(f"{tests[at].where}: {disturbance}")
            except Failure as failure:
                failures.append(f"{tests[len(failures)].where}: {failure}")
        return failures

    async def _answer_calls(self, tests: Sequence[CallTest], failures: list[str]) -> None:
        """Has one process answer as many calls as it can; adds to `failures` as they come."""
        calls = [
            {"function": test.function, "arguments": test.arguments, "keywords": test.keywords}
            for test in tests
        ]
        most = self._plan.max_output_bytes
        async with self._process({"calls": calls, "max_result_size": most}) as process:
            for number, test in enumerate(tests):
                answer = await process.answer(min(most, test.max_answer_bytes))
                if "failure" in answer:
                    reason = _reason(answer["failure"])
                    failures.extend(f"{late.where}: {reason}" for late in tests[number:])
                    return
                if test.max_answer_bytes > _LARGE_CHARS:  # the event loop must not wait for it
                    difference = await asyncio.to_thread(self._difference, test, answer)
                else:
                    difference = self._difference(test, answer)
                failures.append(difference)
                if self._is_settled(failures):
                    return

    def _difference(self, test: CallTest, answer: dict[str, Any]) -> str:
        """What is wrong with a claimed result, in words; empty: nothing."""
        if "value" not in answer:
            return f"{test.where}: {_reason(answer.get('error'))}"
        if test.check.accepts(answer["value"], self._plan.rules):
            return ""
        wanted = test.check.wanted()[:_MAX_SHOWN_CHARS]
        return f"{test.where}: the result {_shown(answer['value'])} is not {wanted}"

    def _is_settled(self, failures: Sequence[str]) -> bool:
        return not self._plan.run_all and any(failures)

    @contextlib.asynccontextmanager
    async def _process(self, request: dict[str, Any]) -> AsyncIterator[ProgramProcess]:
        """A process at work on a request; gone afterwards.

        Raises:
            SpawnFailed: none comes up.
            Unsafe: it is locked in too badly.
            SlowStarts: no time is left for the program.
        """
        limit_s = self._budget.limit_s()
        common = {
            "program": self._plan.program,
            "memory_bytes": self._plan.memory_bytes,
            "cpu_s": limit_s if "input" in request else self._budget.left_s,
        }
        began_s = time.monotonic()
        process = await self._runner.begin({**common, **request}, self._budget)
        try:
            self._budget.start(time.monotonic() - began_s)
            yield process
        finally:
            await process.close()


def _shown(claimed: Any) -> str:
    try:
        return json.dumps(claimed)[:_MAX_SHOWN_CHARS]
    except RecursionError:  # reading takes less of the stack than writing
        return "[...]"


def _reason(claimed: object) -> str:
    """What a program says of its failure, fit for a message."""
    if not isinstance(claimed, str):
        return "it gives no result"
    return claimed[:_MAX_REASON_CHARS].encode(errors="replace").decode()


def verdict_of(plan: Plan, reports: Sequence[Report]) -> Verdict:
    """The verdict on the best of the reports, one a suite."""
    best = max(reports, key=lambda report: report.passed_count / report.test_count)
    share = best.passed_count / best.test_count
    components = {"tests": float(best.test_count)}
    if plan.run_all or not best.failure:
        components["passed"] = float(best.passed_count)
    if plan.partial:
        return Verdict(
            outcome=Outcome.SCORED,
            reward=share,
            extracted_answer=plan.program,
            detail=best.failure,
            components=components,
        )
    outcome = Outcome.INCORRECT if best.failure else Outcome.CORRECT
    return judged(outcome, answer=plan.program, detail=best.failure, components=components)

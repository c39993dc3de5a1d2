"""How often the `math` verifier agrees with other projects' tests, beside Math-Verify.

Grades three files with a real server over gRPC, one item a call, so that deadlines and sandbox are
in force: `grading_dev.jsonl` (other projects' assertions), `gold_dev.jsonl` (real golds against
themselves and against wrong answers) and `hostile_dev.jsonl`. The rival is Math-Verify with the
box first and a boxed gold, in a process that is killed when it hangs.

    python benchmarks/reward_grading.py --data FOLDER --rival
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Self

import grpc

from trimtab.common.v1 import outcome_pb2
from trimtab.reward.v1 import reward_pb2, reward_pb2_grpc

RESULTS = Path(__file__).parent / "results" / "reward_grading.json"
SETS = ("grading", "gold", "hostile")
SCORES = {"CORRECT": 1, "INCORRECT": 0, "NO_ANSWER": 0}
MATH_VERIFYS_FAMILY = frozenset(
    {"math-verify-tests", "latex2sympy2-tests", "lighteval-tests", "mathverify-issues"}
)
BOUND_S = 2.0
RIVAL = Path(__file__).with_name("math_verify_scorer.py")
RIVAL_LIMIT_S = 20.0
"""Its own limits are 5 s each for the gold, the response and the comparison."""


@dataclass(frozen=True, slots=True)
class Case:
    """One response with what is expected of it."""

    id: str
    data_set: str
    kind: str
    """The class, or the category of a hostile case."""
    source: str
    gold: str
    response: str
    expected: int | None
    """The score; None: either is fine."""


@dataclass(frozen=True, slots=True)
class Graded:
    """What a grader made of a case."""

    case: Case
    outcome: str
    elapsed_s: float
    answer: str = ""

    @property
    def score(self) -> int | None:
        """The score; None: no verdict."""
        return SCORES.get(self.outcome)

    @property
    def agrees(self) -> bool:
        """True if it is as expected; among hostile cases no verdict is as good as 0."""
        if self.case.expected is None:
            return True
        if self.case.data_set == "hostile" and self.score is None:
            return self.case.expected == 0
        return self.score == self.case.expected


def read_cases(folder: Path, data_set: str, marker: str) -> list[Case]:
    """The cases of one file; hostile code in them would create the file `marker`."""
    lines = (folder / f"{data_set}_dev.jsonl").read_text(encoding="utf-8").splitlines()
    cases = []
    for row in map(json.loads, lines):
        hostile = data_set == "hostile"
        text = row["prediction_text"]
        if hostile and row["pattern"]:
            shape = row["pattern"]
            text = shape["prefix"] + shape["unit"] * shape["count"] + shape["suffix"]
        expected = row["expected_score"] if hostile else int(row["expected"])
        cases.append(
            Case(
                id=row["id"],
                data_set=data_set,
                kind=row["category"] if hostile else row["class"],
                source="hostile" if hostile else row["source"],
                gold=row["gold"],
                # Lone surrogates cannot travel in a message; clients replace them.
                response=text.replace("{MARKER}", marker).encode("utf-8", "replace").decode(),
                expected=expected,
            )
        )
    return cases


def grade_ours(cases: Iterable[Case], settings: list[str]) -> list[Graded]:
    """The verdicts of a server that is started for it."""
    command = [sys.executable, "-m", "reward_server", "--listen", "127.0.0.1:0"]
    for setting in settings:
        command += ["--set", setting]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        target = server.stdout.readline().split()[-1]
        with grpc.insecure_channel(target) as channel:
            stub = reward_pb2_grpc.RewardServiceStub(channel)
            return [_grade_one(stub, case) for case in cases]
    finally:
        server.terminate()
        server.wait(30)


def _grade_one(stub: reward_pb2_grpc.RewardServiceStub, case: Case) -> Graded:
    item = reward_pb2.ScoreItem(
        id=case.id, verifier="math", response=case.response, references=[case.gold]
    )
    started_s = time.perf_counter()
    [result] = stub.Score(reward_pb2.ScoreRequest(items=[item]), timeout=30).results
    elapsed_s = time.perf_counter() - started_s
    name = outcome_pb2.Outcome.Name(result.outcome).removeprefix("OUTCOME_")
    return Graded(case, name, elapsed_s, result.extracted_answer)


class MathVerifyProcess:
    """Scores one response after the other; a process that hangs or dies is replaced."""

    def __enter__(self) -> Self:
        self._process = self._start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    def score(self, gold: str, response: str) -> int | None:
        """1 or 0; None if it hung or died."""
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        # A process that died takes no more requests, which its missing reply tells as well.
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(json.dumps([gold, response]) + "\n")
            process.stdin.flush()
        ready, _, _ = select.select([process.stdout], [], [], RIVAL_LIMIT_S)
        line = process.stdout.readline() if ready else ""
        if not line:
            self._stop()
            self._process = self._start()
            return None
        return int(line)

    def _start(self) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, str(RIVAL)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        process.stdout.readline()  # it has imported everything
        return process

    def _stop(self) -> None:
        self._process.kill()
        self._process.communicate()


def grade_math_verify(cases: Iterable[Case]) -> list[Graded]:
    """Math-Verify's verdicts."""
    graded = []
    with MathVerifyProcess() as rival:
        for case in cases:
            started_s = time.perf_counter()
            score = rival.score(case.gold, case.response)
            outcome = {1: "CORRECT", 0: "INCORRECT", None: "TIMED_OUT"}[score]
            graded.append(Graded(case, outcome, time.perf_counter() - started_s))
    return graded


def summary(graded: list[Graded]) -> dict[str, Any]:
    """The numbers of some cases."""
    times_s = sorted(one.elapsed_s for one in graded)
    judged = [one for one in graded if one.case.expected is not None]
    return {
        "cases": len(graded),
        "agreement": round(sum(one.agrees for one in graded) / len(graded), 4),
        "false_positives": sum(one.score == 1 and one.case.expected == 0 for one in judged),
        "false_negatives": sum(one.score == 0 and one.case.expected == 1 for one in judged),
        "no_verdict": sum(one.score is None for one in graded),
        "p50_ms": round(1e3 * times_s[len(times_s) // 2], 2),
        "p99_ms": round(1e3 * times_s[int(len(times_s) * 0.99)], 1),
        "max_ms": round(1e3 * times_s[-1], 1),
        "over_bound": sum(time_s > BOUND_S for time_s in times_s),
    }


def table(graded: list[Graded]) -> dict[str, dict[str, Any]]:
    """Summaries by set, class and source, and of the sources beyond Math-Verify's own family."""
    rows: dict[str, list[Graded]] = {}
    for one in graded:
        case = one.case
        names = [f"{case.data_set}/{case.kind}", f"{case.data_set}/{case.kind}/{case.source}"]
        if case.data_set == "grading" and case.source not in MATH_VERIFYS_FAMILY:
            names.append(f"grading/{case.kind}, other families")
        for name in names:
            rows.setdefault(name, []).append(one)
    return {name: summary(rows[name]) for name in sorted(rows)}


def show(title: str, rows: dict[str, dict[str, Any]]) -> None:
    """Prints a table."""
    columns = list(next(iter(rows.values())))
    width = max(map(len, rows))
    print(f"\n{title}\n{'':{width}} {' '.join(f'{name:>15}' for name in columns)}")
    for name, row in rows.items():
        print(f"{name:{width}} {' '.join(f'{row[column]:>15}' for column in columns)}")


def show_failures(graded: list[Graded]) -> None:
    """Prints every case that is not as expected."""
    for one in graded:
        if not one.agrees:
            case = one.case
            print(
                f"{case.id} {case.kind}/{case.source}: {one.outcome}, expected {case.expected}, "
                f"gold {case.gold!r:.200}, answer {one.answer!r:.200}, "
                f"response {case.response[-200:]!r}"
            )


def main() -> None:
    """Grades, prints, writes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--data", type=Path, default=os.environ.get("TRIMTAB_TEST_DATA"), help="folder of the files"
    )
    parser.add_argument("--sets", nargs="+", choices=SETS, default=SETS)
    parser.add_argument("--rival", action="store_true", help="grades with Math-Verify as well")
    parser.add_argument("--show", action="store_true", help="prints what is not as expected")
    parser.add_argument("--set", action="append", default=[], help="key=value for the server")
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    if options.data is None:
        parser.error("--data or TRIMTAB_TEST_DATA names the folder of the files")
    graders: dict[str, Callable[[list[Case]], list[Graded]]] = {
        "ours": lambda cases: grade_ours(cases, options.set)
    }
    if options.rival:
        graders["math_verify"] = grade_math_verify
    written: dict[str, Any] = {}
    for name, grade in graders.items():
        with tempfile.TemporaryDirectory() as scratch:
            marker = Path(scratch) / "marker"
            cases = [
                case
                for each in options.sets
                for case in read_cases(options.data, each, str(marker))
            ]
            graded = grade(cases)
            executed = marker.exists()
        rows = table(graded)
        show(name, rows)
        print(f"model text executed: {executed}")
        if options.show:
            show_failures(graded)
        written[name] = {"model_text_executed": executed, "rows": rows}
    if set(options.sets) == set(SETS):
        packages = ("math-verify", "latex2sympy2-extended", "sympy", "grpcio")
        written["versions"] = {package: version(package) for package in packages}
        written["cores"], written["machine"] = os.cpu_count(), platform.machine()
        options.out.write_text(json.dumps(written, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

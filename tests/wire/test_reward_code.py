"""The `code` verifier on a real server: what programs may do, and what becomes of them."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration

from tests.wire.reward_server_process import (
    TIMEOUT_S,
    RewardServer,
    children,
    cpu_ticks,
    eventually,
    is_gone,
    item,
    running_reward_server,
)
from trimtab.common.v1 import outcome_pb2
from trimtab.reward.v1 import reward_pb2

VERIFIERS = {
    "code": {"type": "code", "timeout_s": 2, "max_output_bytes": 100_000},
    "share": {"type": "code", "timeout_s": 0.5, "partial": True},
    "near": {"type": "code", "float_tolerance": 1e-6},
    "math": {"type": "math"},
    "tags": {"type": "format", "think_tags": "required"},
    "both": {"type": "composite", "parts": {"code": {}, "tags": {"weight": 0.5}}},
}
SQUARES = json.dumps({"inputs": ["1", "2", "3"], "outputs": ["1", "4", "9"]})
CALLS = "assert f(1) == 1\nassert f(2) == 4\nassert f(3) == 9"


@pytest.fixture(scope="module")
def server() -> Iterator[RewardServer]:
    with running_reward_server(f"verifiers={json.dumps(VERIFIERS)}") as running:
        yield running


def fenced(program: str) -> str:
    return f"Here it is:\n```python\n{program}\n```\nIt runs in linear time."


def scored(
    server: RewardServer, program: str, *references: str, verifier: str = "", **fields: Any
) -> reward_pb2.ScoreResult:
    asked = item("1", fenced(program), *references, verifier=verifier)
    asked.MergeFrom(reward_pb2.ScoreItem(**fields))
    [result] = server.score(asked)
    return result


def prints(given: str, wanted: str) -> str:
    return json.dumps({"inputs": [given], "outputs": [wanted]})


def outcome_of(result: reward_pb2.ScoreResult) -> str:
    return outcome_pb2.Outcome.Name(result.outcome).removeprefix("OUTCOME_")


@pytest.mark.parametrize(
    "program",
    [
        "print(int(input()) ** 2)",
        "import sys\nn = int(sys.stdin.readline())\nsys.stdout.write(f'{n * n}\\n')",
        "import sys\nfor line in sys.stdin:\n    print(int(line) ** 2)",
        "import sys\nprint(int(sys.stdin.buffer.read()) ** 2)",
        "print(int(open(0).read()) ** 2)",
        "import os\nos.write(1, b'%d' % int(os.read(0, 99)) ** 2)",
        "import os\nprint(int(os.read(0, os.fstat(0).st_size)) ** 2)",
        "def main():\n    print(int(input()) ** 2)\n\nif __name__ == '__main__':\n    main()",
        "import sys\nprint(int(input()) ** 2)\nsys.exit(0)",
        "import os\nprint(int(input()) ** 2, flush=True)\nos._exit(0)",
        "import numpy as np\nprint(np.square(int(input())))",
        "from typing import *\nfrom heapq import *\nprint(int(input()) ** 2)",
        ("import threading\ndef main():\n    print(int(input()) ** 2)\n"
        "threading.stack_size(1 << 26)\nthreading.Thread(target=main).start()"),
        ("import sys\nsys.setrecursionlimit(10 ** 6)\n"
        "def f(n):\n    return 1 + f(n - 1) if n else 0\nf(50_000)\nprint(int(input()) ** 2)"),
        ("import atexit, io, sys\nsys.stdout = io.StringIO()\n"
        "atexit.register(lambda: sys.__stdout__.write(sys.stdout.getvalue()))\n"
        "print(int(input()) ** 2)"),
        ("from dataclasses import dataclass\n@dataclass\nclass A:\n    x: int\n"
        "print(A(int(input())).x ** 2)"),
        "with open('note.txt', 'w') as note:\n    note.write('x')\nprint(int(input()) ** 2)",
        ("import tempfile\nwith tempfile.TemporaryFile() as file:\n    file.write(b'x')\n"
        "print(int(input()) ** 2)"),
        "import xml.dom.minidom, unicodedata\nprint(int(input()) ** 2)",
        "print(int(input()) ** 2)\nimport time\ntime.sleep(0.01)",
        "\ufeffprint(int(input()) ** 2)",
    ],
)  # fmt: skip
def test_programs_read_and_print_as_they_like(server: RewardServer, program: str) -> None:
    result = scored(server, program, SQUARES)
    assert (outcome_of(result), result.detail) == ("CORRECT", "")
    assert dict(result.components) == {"tests": 3, "passed": 3}
    assert result.extracted_answer == (program + "\n")[:1000]


@pytest.mark.parametrize(
    ("program", "reference"),
    [
        ("def f(n):\n    return n * n", CALLS),
        ("class Solution:\n    def f(self, n: int) -> int:\n        return n * n", CALLS),
        ("def f(n):\n    return n * n\nprint('noise')", CALLS),
        ("def f(n):\n    print('noise')\n    return float(n * n)", CALLS),
        ("def f(n):\n    return n * n\nif __name__ == '__main__':\n    f(int(input()))", CALLS),
        (
            ("class Solution:\n    def pair(self, xs: List[int], at: Optional[int]) -> Tuple:\n"
            "        return tuple(sorted(xs)), at, inf > 1"),
            '{"fn_name": "pair", "inputs": [[[2, 1], null]], "outputs": [[[1, 2], null, true]]}',
        ),
        (
            "def add(a, b):\n    return a + b",
            '[{"input": "[1]\\n[2]", "output": "[1, 2]", "fn_name": "add"}]',
        ),
        (
            "def f(a, *, b):\n    return {a: {b}, None: b'x'}",
            "assert f('k', b=(1, 2)) == {'k': {(1, 2)}, None: b'x'}",
        ),
        ("def f(x):\n    x.append(1)\n    return x", "assert f([]) == [1]\nassert f([]) == [1]"),
        ("def f():\n    pass", "assert f() is None"),
        ("def f(x):\n    return x / 3", "assert abs(f(1) - 0.333333) < 1e-5\nassert not f(0)"),
    ],
)  # fmt: skip
def test_functions_are_called(server: RewardServer, program: str, reference: str) -> None:
    result = scored(server, program, reference)
    assert (outcome_of(result), result.detail) == ("CORRECT", "")


def test_the_function_may_be_named_in_the_metadata(server: RewardServer) -> None:
    check = "def check(candidate):\n    assert candidate(2) == 4"
    result = scored(server, "def g(n):\n    return n * n", check, metadata={"entry_point": "g"})
    assert outcome_of(result) == "CORRECT"


@pytest.mark.parametrize(
    ("program", "reference", "detail"),
    [
        ("print(1)", SQUARES, "test 2: line 1 is '1', not '4'"),
        ("print(int(input()) ** 2, 'x')", SQUARES, "test 1: line 1 is '1 x', not '1'"),
        ("pass", SQUARES, "test 1: the output ends before line 1"),
        ("1 / 0", SQUARES, "test 1: ZeroDivisionError: division by zero"),
        ("print(1", SQUARES, "test 1: SyntaxError"),
        ("x = '\0'", SQUARES, "test 1: "),
        ("import sys\nprint(1)\nsys.exit(3)", SQUARES, "test 1: it called sys.exit(3)"),
        ("import sys\nprint(1)\nsys.exit('no')", SQUARES, "test 1: it called sys.exit: no"),
        ("print(1, flush=True)\nimport os\nos._exit(4)", SQUARES, "test 1: it ended with status 4"),
        ("raise KeyboardInterrupt", SQUARES, "test 1: KeyboardInterrupt"),
        ("import os\nos.abort()", SQUARES, "test 1: it crashed with SIG"),
        ("import ctypes\nctypes.string_at(1)", SQUARES, "test 1: it crashed with SIGSEGV"),
        ("while True: pass", SQUARES, "test 1: it takes longer than 2 s"),
        ("import time\ntime.sleep(60)", SQUARES, "test 1: it takes longer than 2 s"),
        ("input()\ninput()", SQUARES, "test 1: EOFError"),
        ("x = [0] * 10 ** 12", SQUARES, "test 1: MemoryError"),
        ("x = bytearray(1)\nwhile True:\n    x += bytes(1 << 24)", SQUARES, "test 1: MemoryError"),
        ("while True:\n    print('x' * 1000)", SQUARES, "test 1: it writes more than 100000 bytes"),
        ("import no_such_module", SQUARES, "test 1: ModuleNotFoundError"),
        ("def f(n):\n    return n", CALLS, "line 2: the result 2 is not 4"),
        ("def g(n):\n    return n", CALLS, "line 1: AttributeError"),
        ("def f():\n    return 1", CALLS, "line 1: TypeError"),
        ("def f(n):\n    return f(n)", CALLS, "line 1: RecursionError"),
        ("def f(n):\n    while n > 1: 0\n    return 1", CALLS, "line 2: it takes longer than 2 s"),
        ("raise ValueError('now')", CALLS, "line 1: ValueError: now"),
        ("def f(n):\n    return [0] * 10 ** 7", CALLS, "line 1: the result is larger than"),
        ("def f(n):\n    return 'x' * 50_000", CALLS, "line 1: it answers with 5"),
        ("def f(n):\n    return object()", CALLS, "line 1: the result is a object"),
        ("def f(n):\n    return lambda: 1", CALLS, "line 1: the result is a function"),
        ("import sys\nsys.exit(0)", CALLS, "line 1: SystemExit"),
        ("import os\nos._exit(0)", CALLS, "line 1: it ended before it answered"),
        ("def f(n):\n    return [n * n]", CALLS, "line 1: the result"),
        ("def f():\n    return [1]", "assert f() == (1,)", "line 1: the result"),
    ],
)  # fmt: skip
def test_a_program_that_fails_is_incorrect(
    server: RewardServer, program: str, reference: str, detail: str
) -> None:
    result = scored(server, program, reference)
    assert (outcome_of(result), result.reward, result.cause) == ("INCORRECT", 0, 0)
    assert result.HasField("reward")
    assert result.detail.startswith(detail)


def test_a_reference_without_tests_is_invalid(server: RewardServer) -> None:
    result = scored(server, "def f(n):\n    return n", "assert f(1) == 1\nassert f(2) > 1")
    assert (outcome_of(result), result.cause) == (
        "INVALID_REFERENCE",
        outcome_pb2.CAUSE_MACHINERY,
    )
    assert "line 2: `assert f(2) > 1`" in result.detail


def test_a_response_without_a_program_holds_no_answer(server: RewardServer) -> None:
    [result] = server.score(item("1", "I would rather not.", SQUARES))
    assert outcome_of(result) == "NO_ANSWER"


def test_one_of_several_suites_suffices(server: RewardServer) -> None:
    cubes = json.dumps({"inputs": ["2"], "outputs": ["8"]})
    assert outcome_of(scored(server, "print(int(input()) ** 2)", cubes, SQUARES)) == "CORRECT"
    assert outcome_of(scored(server, "print(int(input()) ** 4)", cubes, SQUARES)) == "INCORRECT"


@pytest.mark.parametrize(
    ("program", "reference", "share"),
    [
        ("print(1)", SQUARES, 1 / 3),
        ("n = int(input())\nwhile n == 1: pass\nprint(n * n)", SQUARES, 2 / 3),
        ("def f(n):\n    return n if n != 2 else 1 / 0", CALLS, 1 / 3),
        ("def f(n):\n    while n == 2: pass\n    return n * n", CALLS, 2 / 3),
        ("import os\ndef f(n):\n    return os._exit(0) if n == 1 else n * n", CALLS, 2 / 3),
        ("def f(n):\n    return 'x' * 5000 if n == 1 else n * n", CALLS, 2 / 3),
        ("def f(n):\n    return n * n", CALLS, 1),
        ("oops", CALLS, 0),
    ],
)  # fmt: skip
def test_the_share_of_passed_tests_can_be_the_reward(
    server: RewardServer, program: str, reference: str, share: float
) -> None:
    result = scored(server, program, reference, verifier="share")
    assert outcome_of(result) == "SCORED"
    assert result.reward == pytest.approx(share)
    assert dict(result.components) == {"tests": 3, "passed": round(3 * share)}
    assert (result.detail == "") is (share == 1)


def test_floats_may_differ_where_that_is_asked_for(server: RewardServer) -> None:
    reference = prints("", "0.333333333 done")
    for verifier, outcome in (("code", "INCORRECT"), ("near", "CORRECT")):
        result = scored(server, "print(1 / 3, 'done')", reference, verifier=verifier)
        assert outcome_of(result) == outcome


def test_runs_are_repeatable_and_know_nothing_of_each_other(server: RewardServer) -> None:
    program = "import random\nprint(hash('a'), random.random(), len(__import__('os').listdir()))"
    details = set()
    for index in range(3):
        result = scored(server, program + "\n" * index, prints("", "?"))
        details.add(result.detail)
    assert len(details) == 1
    assert details.pop().split("'")[1].endswith(" 0")


def test_large_inputs_and_outputs_pass(server: RewardServer) -> None:
    text = "\n".join(str(number) for number in range(500_000)) + "\n"
    program = "import sys\nprint(sum(map(int, sys.stdin)))\nprint('é' * 40_000)"
    wanted = f"{sum(range(500_000))}\n{'é' * 40_000}"
    assert outcome_of(scored(server, program, prints(text, wanted))) == "CORRECT"


def test_an_items_own_timeout_is_the_programs(server: RewardServer) -> None:
    result = scored(server, "while True: pass", SQUARES, timeout=Duration(nanos=300_000_000))
    assert outcome_of(result) == "INCORRECT"
    assert "0.3 s" in result.detail


def test_the_calls_deadline_cuts_a_program(server: RewardServer) -> None:
    before = server.process_pids()
    [result] = server.score(item("1", fenced("import time\ntime.sleep(9)"), SQUARES), timeout_s=1)
    assert (outcome_of(result), result.cause) == ("TIMED_OUT", outcome_pb2.CAUSE_MACHINERY)
    assert not result.HasField("reward")
    eventually(lambda: server.process_pids() == before)


def test_neighbours_of_programs_that_fail_are_judged(server: RewardServer) -> None:
    good, bad = fenced("print(int(input()) ** 2)"), fenced("while True: pass")
    items = [item(str(index), bad if index % 4 == 0 else good, SQUARES) for index in range(12)]
    results = server.score(*items, timeout_s=60)
    assert [outcome_of(result) for result in results] == ["INCORRECT", *["CORRECT"] * 3] * 3


def test_programs_and_formulas_share_a_stream(server: RewardServer) -> None:
    good = fenced("print(int(input()) ** 2)")
    items = [item(f"code {n}", good + "\n" * n, SQUARES) for n in range(10)]
    items += [item(f"math {n}", rf"\boxed{{{n}+x}}", f"x+{n}", verifier="math") for n in range(10)]
    requests = [reward_pb2.ScoreStreamRequest(items=[asked]) for asked in items]
    replies = server.stub.ScoreStream(iter(requests), timeout=TIMEOUT_S)
    outcomes = {result.id: outcome_of(result) for reply in replies for result in reply.results}
    assert outcomes == {asked.id: "CORRECT" for asked in items}


def test_a_program_can_be_part_of_a_composite(server: RewardServer) -> None:
    response = "<think>Easy.</think>" + fenced("print(int(input()) ** 2)")
    [result] = server.score(item("1", response, SQUARES, verifier="both"))
    assert (outcome_of(result), result.reward) == ("CORRECT", 1.5)


BUSY = fenced("import time\nwhile time.process_time() < 1: pass\nprint(int(input()) ** 2)")


def busy_program(server: RewardServer, known: set[int]) -> int:
    """The process in which a program is busy."""
    found: set[int] = set()

    def is_busy() -> bool:
        found.clear()
        found.update(pid for pid in server.process_pids() - known if cpu_ticks(pid) > 10)
        return bool(found)

    eventually(is_busy)
    return max(found)


def test_an_end_that_a_stopped_zygote_does_not_tell_costs_no_verdict() -> None:
    settings = {"code": {"type": "code", "timeout_s": 1}}
    with running_reward_server(f"verifiers={json.dumps(settings)}") as server:
        zygotes = children(server.process.pid)
        before = server.worker_pids()
        busy = "import time\nend = time.time() + 0.5\nwhile time.time() < end: pass\nprint(4)"
        request = reward_pb2.ScoreRequest(items=[item("1", fenced(busy), prints("", "4"))])
        call = server.stub.Score.future(request, timeout=TIMEOUT_S)
        # So much processor time tells that the program runs: its process was born with less.
        eventually(lambda: any(cpu_ticks(pid) > 5 for pid in server.worker_pids() - before))
        ours = server.worker_pids() - before
        for pid in zygotes:
            os.kill(pid, signal.SIGSTOP)
        eventually(lambda: all(map(is_gone, ours)))
        time.sleep(1.5)  # the time that the program has
        for pid in zygotes:
            os.kill(pid, signal.SIGCONT)
        [result] = call.result().results
    assert result.outcome == outcome_pb2.OUTCOME_CORRECT, result.detail


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_a_program_that_somebody_else_ends_runs_again(
    server: RewardServer, number: signal.Signals
) -> None:
    known = server.process_pids()
    request = reward_pb2.ScoreRequest(items=[item("1", BUSY, prints(f"{number}", f"{number**2}"))])
    call = server.stub.Score.future(request, timeout=TIMEOUT_S)
    os.kill(busy_program(server, known), number)
    [result] = call.result().results
    assert (outcome_of(result), result.detail) == ("CORRECT", "")


def test_programs_outlive_their_zygote(server: RewardServer) -> None:
    zygotes = children(server.process.pid)
    for zygote in zygotes:
        os.kill(zygote, signal.SIGKILL)
    assert outcome_of(scored(server, "print(int(input()) ** 2) # again", SQUARES)) == "CORRECT"
    eventually(lambda: all(is_gone(pid) for pid in zygotes))


def test_a_cancelled_call_ends_its_programs(server: RewardServer) -> None:
    known = server.process_pids()
    request = reward_pb2.ScoreRequest(items=[item("1", BUSY.replace("< 1:", "< 9:"), SQUARES)])
    call = server.stub.Score.future(request, timeout=TIMEOUT_S)
    pid = busy_program(server, known)
    call.cancel()
    eventually(lambda: is_gone(pid))


def test_get_info_tells_the_time_limit_of_programs(server: RewardServer) -> None:
    [offer] = [offer for offer in server.info().verifiers if offer.name == "code"]
    assert offer.type == "code"
    assert offer.item_timeout.seconds == 30
    assert offer.options["timeout_s"] == 2


def test_a_full_queue_turns_calls_away() -> None:
    settings = (f"verifiers={json.dumps(VERIFIERS)}", "max_waiting_items=2", "program_slots=1")
    with running_reward_server(*settings) as server:
        with pytest.raises(grpc.RpcError) as caught:
            server.score(*(item(str(i), BUSY + "\n" * i, SQUARES + " " * i) for i in range(9)))
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED

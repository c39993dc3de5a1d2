"""Starts a real rollout server for a test, and what the tests send to it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

import grpc
from google.protobuf.message import Message
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from trimtab.common.v1 import sampling_pb2
from trimtab.rollout.v1 import rollout_pb2, rollout_pb2_grpc

TIMEOUT_S = 60.0
PROMPTS = ("12+34+5=", "1+2+3=", "99-45+17=", "8+8+8=", "70-7+41=")
ENDLESS = sampling_pb2.SamplingParams(min_tokens=200, max_tokens=200, seed=3)
"""Keeps a sample running for 200 steps: end tokens cannot be drawn."""

Key = tuple[str, int]


@dataclass(slots=True)
class RolloutServer:
    """A running server."""

    process: subprocess.Popen[str]
    target: str
    channel: grpc.Channel
    stub: rollout_pb2_grpc.RolloutServiceStub

    def events(self, request: rollout_pb2.GenerateRequest) -> list[rollout_pb2.GenerateResponse]:
        """All events of one call."""
        return list(self.stub.Generate(request, timeout=TIMEOUT_S))

    def samples(self, request: rollout_pb2.GenerateRequest) -> Mapping[Key, rollout_pb2.Sample]:
        """The samples of a call in which nothing goes wrong."""
        events = self.events(request)
        assert [event.prompt_error for event in events if event.HasField("prompt_error")] == []
        found = [event.sample for event in events if event.HasField("sample")]
        return {(sample.prompt_id, sample.sample_index): sample for sample in found}

    def one(
        self, text: str, sampling: sampling_pb2.SamplingParams | None = None
    ) -> rollout_pb2.Sample:
        """One sample of a text."""
        prompt = rollout_pb2.Prompt(id="p", text=text)
        request = rollout_pb2.GenerateRequest(prompts=[prompt], sampling=sampling)
        return self.samples(request)["p", 0]

    def error(self, prompt: rollout_pb2.Prompt) -> rollout_pb2.PromptError:
        """The error of a bad prompt, whose good neighbour is served."""
        good = rollout_pb2.Prompt(id="good", text=PROMPTS[0])
        events = self.events(rollout_pb2.GenerateRequest(prompts=[prompt, good]))
        assert sum(event.HasField("sample") for event in events) == 1
        errors = [event.prompt_error for event in events if event.HasField("prompt_error")]
        assert [error.prompt_id for error in errors] == [prompt.id]
        assert not errors[0].HasField("sample_index")
        return errors[0]

    def info(self) -> rollout_pb2.GetInfoResponse:
        """What the server tells about itself."""
        return self.stub.GetInfo(rollout_pb2.GetInfoRequest(), timeout=TIMEOUT_S)

    def is_idle(self) -> bool:
        """True if nothing runs and nothing waits."""
        info = self.info()
        return info.running_count == 0 and info.waiting_count == 0

    def endless(self, count: int = 64) -> Running:
        """A call of so many long samples that has begun to generate."""
        request = rollout_pb2.GenerateRequest(
            prompts=[rollout_pb2.Prompt(id="endless", text=PROMPTS[0])],
            samples_per_prompt=count,
            sampling=ENDLESS,
            want=rollout_pb2.Want(progress=True),
        )
        call: Any = self.stub.Generate(request, timeout=TIMEOUT_S)
        first = next(call)
        assert first.HasField("progress"), first
        return Running(call)


@dataclass(slots=True)
class Running:
    """A generation under way."""

    call: Any

    def rest(self) -> list[rollout_pb2.Sample]:
        """The samples of the call, to its end."""
        return [event.sample for event in self.call if event.HasField("sample")]


@contextlib.contextmanager
def running_rollout_server(
    *settings: str, environment: Mapping[str, str] | None = None
) -> Iterator[RolloutServer]:
    """A server with `key=value` settings, ended afterwards."""
    process = spawn(*settings, environment=environment)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("rollout serving on "), line
        target = line.split()[-1]
        with grpc.insecure_channel(target) as channel:
            stub = rollout_pb2_grpc.RolloutServiceStub(channel)
            yield RolloutServer(process, target, channel, stub)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        process.wait(TIMEOUT_S)
        for pipe in (process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()


def spawn(
    *settings: str, environment: Mapping[str, str] | None = None, stderr: int | None = None
) -> subprocess.Popen[str]:
    """Starts a server on a free port."""
    command = [sys.executable, "-m", "rollout_server", "--listen", "127.0.0.1:0"]
    for setting in settings:
        command += ["--set", setting]
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
        env={**os.environ, **(environment or {})},
    )


def eventually(condition: Callable[[], bool]) -> None:
    """Waits until the condition holds."""
    deadline_s = time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < deadline_s, "it never came about"
        os.sched_yield()


def in_background(work: Callable[[], object]) -> threading.Thread:
    """Runs the work beside the test; join it."""
    thread = threading.Thread(target=work)
    thread.start()
    return thread


def reason(error: grpc.RpcError) -> str:
    """The reason in the ErrorInfo that a status carries."""
    info = error_details_pb2.ErrorInfo()
    assert unpack_detail(error, info), error
    return str(info.reason)


def unpack_detail(error: grpc.RpcError, detail: Message) -> bool:
    """Fills in the detail from a status; False if it carries none of that type."""
    status = rpc_status.from_call(cast(grpc.Call, error))
    return status is not None and any(packed.Unpack(detail) for packed in status.details)


def text_prompts(*texts: str) -> list[rollout_pb2.Prompt]:
    """Prompts named by their position."""
    return [rollout_pb2.Prompt(id=str(index), text=text) for index, text in enumerate(texts)]

"""What all servers have in common: errors, sizes, deadlines, health, TLS, the way they end."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import grpc
import pytest
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from grpc import aio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from grpc_status import rpc_status

from tests.services import Service, service
from trimtab.client import RewardClient, RolloutClient
from trimtab.common.v1 import sampling_pb2
from trimtab.config.routes import ClientTlsConfig
from trimtab.errors import DOMAIN, STATUS_BY_REASON, Overloaded, Reason, RemoteError, ServiceError
from trimtab.reward.v1 import reward_pb2, reward_pb2_grpc
from trimtab.rollout.v1 import rollout_pb2
from trimtab.server.boundary import CallBoundary

Context = aio.ServicerContext[Any, Any]
TIMEOUT_S = 30.0
MIB = 1 << 20
FULL_NAME = "trimtab.reward.v1.RewardService"


class Failing(reward_pb2_grpc.RewardServiceServicer):
    """Raises, hangs or answers, as told."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.hangs = False

    async def Score(  # noqa: N802 - gRPC's name
        self, request: reward_pb2.ScoreRequest, context: Context
    ) -> reward_pb2.ScoreResponse:
        """Does as told."""
        await self._act()
        return reward_pb2.ScoreResponse()

    async def ScoreStream(  # noqa: N802 - gRPC's name
        self, request_iterator: AsyncIterator[reward_pb2.ScoreStreamRequest], context: Context
    ) -> AsyncIterator[reward_pb2.ScoreStreamResponse]:
        """Answers once, then does as told, then answers each message."""
        yield reward_pb2.ScoreStreamResponse()
        await self._act()
        async for _ in request_iterator:
            yield reward_pb2.ScoreStreamResponse()

    async def GetInfo(  # noqa: N802 - gRPC's name
        self, request: reward_pb2.GetInfoRequest, context: Context
    ) -> reward_pb2.GetInfoResponse:
        """Answers."""
        return reward_pb2.GetInfoResponse(server="still here")

    async def _act(self) -> None:
        if self.error is not None:
            raise self.error
        if self.hangs:
            await asyncio.Event().wait()


@contextlib.asynccontextmanager
async def boundary(deadline_cap_s: float = 60.0) -> AsyncIterator[tuple[Failing, Any]]:
    """A servicer behind the boundary, and a stub of it."""
    servicer = Failing()
    cap_bytes = 64 * MIB
    server = aio.server(
        interceptors=[CallBoundary(max_message_bytes=16 * MIB, deadline_cap_s=deadline_cap_s)],
        options=[("grpc.max_receive_message_length", cap_bytes)],
    )
    reward_pb2_grpc.add_RewardServiceServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    options = [("grpc.max_send_message_length", -1)]
    async with aio.insecure_channel(f"127.0.0.1:{port}", options=options) as channel:
        yield servicer, reward_pb2_grpc.RewardServiceStub(channel)
    await server.stop(0)


async def unary(stub: Any, request: reward_pb2.ScoreRequest | None = None) -> aio.AioRpcError:
    with pytest.raises(aio.AioRpcError) as caught:
        await stub.Score(request or reward_pb2.ScoreRequest(), timeout=TIMEOUT_S)
    return caught.value


async def streaming(
    stub: Any, *requests: reward_pb2.ScoreStreamRequest, timeout_s: float | None = TIMEOUT_S
) -> aio.AioRpcError:
    with pytest.raises(aio.AioRpcError) as caught:
        async for _ in stub.ScoreStream(iter(requests), timeout=timeout_s):
            pass
    return caught.value


def detail(error: aio.AioRpcError, kind: type[Message]) -> Any:
    """The detail of a type; None if the status carries none."""
    trailers = dict(cast(Any, error.trailing_metadata()) or ())
    status = status_pb2.Status.FromString(trailers.get("grpc-status-details-bin", b""))
    for packed in status.details:
        found = kind()
        if packed.Unpack(found):
            assert status.code == error.code().value[0]
            return found
    return None


def reason(error: aio.AioRpcError) -> str:
    info = detail(error, error_details_pb2.ErrorInfo)
    assert info is not None, error
    assert info.domain == DOMAIN
    return str(info.reason)


def test_every_reason_has_a_status() -> None:
    assert set(STATUS_BY_REASON) == set(Reason)


@pytest.mark.parametrize("call", [unary, streaming])
@pytest.mark.parametrize("expected", list(Reason))
async def test_every_reason_travels_as_its_status(expected: Reason, call: Any) -> None:
    async with boundary() as (servicer, stub):
        servicer.error = ServiceError(
            expected, "what is wrong \N{SNOWMAN}", field="items[3].id", metadata={"limit": "3"}
        )
        error = await call(stub)
    assert error.code().name == STATUS_BY_REASON[expected]
    assert error.details() == "what is wrong \N{SNOWMAN}"
    assert reason(error) == expected
    assert dict(detail(error, error_details_pb2.ErrorInfo).metadata) == {
        "limit": "3",
        "field": "items[3].id",
    }
    (violation,) = detail(error, error_details_pb2.BadRequest).field_violations
    assert violation.field == "items[3].id"
    assert violation.description == "what is wrong \N{SNOWMAN}"


async def test_an_error_without_a_field_names_none() -> None:
    async with boundary() as (servicer, stub):
        servicer.error = ServiceError(Reason.RUN_ACTIVE, "busy")
        error = await unary(stub)
    assert detail(error, error_details_pb2.BadRequest) is None
    assert dict(detail(error, error_details_pb2.ErrorInfo).metadata) == {}


async def test_an_overload_says_when_to_come_again() -> None:
    async with boundary() as (servicer, stub):
        servicer.error = Overloaded("full", retry_after_s=1.25)
        error = await unary(stub)
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert reason(error) == "OVERLOADED"
    delay = detail(error, error_details_pb2.RetryInfo).retry_delay
    assert delay.ToMilliseconds() == 1250
    trailers = dict(cast(Any, error.trailing_metadata()))
    assert trailers["grpc-retry-pushback-ms"] == "1250"


@pytest.mark.parametrize("letter", ["a", "\N{SNOWMAN}", "\n", "\ud800"])
async def test_a_long_or_strange_message_does_not_hide_the_reason(letter: str) -> None:
    async with boundary() as (servicer, stub):
        servicer.error = ServiceError(
            Reason.CONFIG_INVALID,
            letter * 30_000,
            field=letter * 9_000,
            metadata={"k": letter * 3_000},
        )
        error = await unary(stub)
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert reason(error) == "CONFIG_INVALID"


@pytest.mark.parametrize("call", [unary, streaming])
async def test_a_surprise_is_internal_and_the_server_lives(call: Any) -> None:
    async with boundary() as (servicer, stub):
        servicer.error = ZeroDivisionError("oh")
        error = await call(stub)
        assert error.code() is grpc.StatusCode.INTERNAL
        assert reason(error) == "INTERNAL"
        assert "ZeroDivisionError: oh" in (error.details() or "")
        info = await stub.GetInfo(reward_pb2.GetInfoRequest(), timeout=TIMEOUT_S)
        assert info.server == "still here"


@pytest.mark.parametrize("mib", [17, 63])
async def test_a_message_over_the_cap_is_said_to_be_too_large(mib: int) -> None:
    item = reward_pb2.ScoreItem(id="a", response="x" * (mib * MIB))
    async with boundary() as (_, stub):
        single = await unary(stub, reward_pb2.ScoreRequest(items=[item]))
        streamed = await streaming(
            stub, reward_pb2.ScoreStreamRequest(), reward_pb2.ScoreStreamRequest(items=[item])
        )
    for error in (single, streamed):
        assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert reason(error) == "MESSAGE_TOO_LARGE"
        assert dict(detail(error, error_details_pb2.ErrorInfo).metadata)["limit"] == str(16 * MIB)


async def test_a_message_at_the_cap_passes() -> None:
    request = reward_pb2.ScoreRequest(items=[reward_pb2.ScoreItem(response="x" * (15 * MIB))])
    async with boundary() as (_, stub):
        await stub.Score(request, timeout=TIMEOUT_S)


async def test_a_message_over_the_transports_cap_is_refused() -> None:
    item = reward_pb2.ScoreItem(id="a", response="x" * (65 * MIB))
    async with boundary() as (_, stub):
        error = await unary(stub, reward_pb2.ScoreRequest(items=[item]))
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_a_call_without_a_deadline_gets_the_cap() -> None:
    async with boundary(deadline_cap_s=0.2) as (servicer, stub):
        servicer.hangs = True
        with pytest.raises(aio.AioRpcError) as caught:
            await stub.Score(reward_pb2.ScoreRequest())
        streamed = await streaming(stub, timeout_s=None)
    for error in (caught.value, streamed):
        assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        assert reason(error) == "DEADLINE_EXCEEDED"


async def test_a_callers_deadline_is_longer_than_the_cap_if_it_says_so() -> None:
    async with boundary(deadline_cap_s=0.05) as (servicer, stub):
        servicer.hangs = True
        with pytest.raises(aio.AioRpcError) as caught:
            await stub.Score(reward_pb2.ScoreRequest(), timeout=0.3)
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert detail(caught.value, error_details_pb2.ErrorInfo) is None


@pytest.fixture(scope="module")
def server() -> Iterator[Service]:
    with service("reward_server", "workers=1") as started:
        yield started


@pytest.fixture(scope="module")
def channel(server: Service) -> Iterator[grpc.Channel]:
    options = [("grpc.max_send_message_length", -1)]
    with grpc.insecure_channel(server.target, options=options) as opened:
        yield opened


@pytest.mark.parametrize("name", ["", FULL_NAME])
def test_health_is_told(channel: grpc.Channel, name: str) -> None:
    stub: Any = health_pb2_grpc.HealthStub(channel)
    reply = stub.Check(health_pb2.HealthCheckRequest(service=name), timeout=TIMEOUT_S)
    assert reply.status == health_pb2.HealthCheckResponse.SERVING


def test_the_health_of_strangers_is_not_known(channel: grpc.Channel) -> None:
    stub: Any = health_pb2_grpc.HealthStub(channel)
    with pytest.raises(grpc.RpcError) as caught:
        stub.Check(health_pb2.HealthCheckRequest(service="x"), timeout=TIMEOUT_S)
    assert cast(grpc.Call, caught.value).code() is grpc.StatusCode.NOT_FOUND


def test_reflection_lists_the_service(channel: grpc.Channel) -> None:
    stub: Any = reflection_pb2_grpc.ServerReflectionStub(channel)
    request = reflection_pb2.ServerReflectionRequest(list_services="")
    (reply,) = stub.ServerReflectionInfo(iter([request]), timeout=TIMEOUT_S)
    names = {entry.name for entry in reply.list_services_response.service}
    assert {FULL_NAME, "grpc.health.v1.Health"} <= names


@pytest.mark.parametrize(("mib", "said"), [(17, "MESSAGE_TOO_LARGE"), (65, "")])
def test_a_real_server_refuses_large_messages(channel: grpc.Channel, mib: int, said: str) -> None:
    stub = reward_pb2_grpc.RewardServiceStub(channel)
    item = reward_pb2.ScoreItem(id="a", response="x" * (mib * MIB))
    unary_request = reward_pb2.ScoreRequest(items=[item])
    stream_request = reward_pb2.ScoreStreamRequest(items=[item])
    calls: Sequence[Callable[[], object]] = (
        lambda: stub.Score(unary_request, timeout=TIMEOUT_S),
        lambda: list(stub.ScoreStream(iter([stream_request]), timeout=TIMEOUT_S)),
    )
    for call in calls:
        with pytest.raises(grpc.RpcError) as caught:
            call()
        error = cast(grpc.Call, caught.value)
        assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        status = rpc_status.from_call(error)
        info = error_details_pb2.ErrorInfo()
        found = status is not None and any(packed.Unpack(info) for packed in status.details)
        assert (info.reason if found else "") == said


async def test_sigterm_lets_running_calls_complete() -> None:
    with service("rollout_server", "transformers.threads=1") as started:
        async with RolloutClient(started.target) as client:
            request = rollout_pb2.GenerateRequest(
                prompts=[rollout_pb2.Prompt(id="p", text="12+34+5=")],
                samples_per_prompt=32,
                sampling=sampling_pb2.SamplingParams(min_tokens=150, max_tokens=150),
                want=rollout_pb2.Want(progress=True),
            )
            samples, ending = 0, None
            async for event in client.generate(request, timeout_s=TIMEOUT_S):
                if ending is None:
                    ending = asyncio.create_task(asyncio.to_thread(started.stop))
                samples += event.HasField("sample")
        assert samples == 32
        assert ending is not None
        assert await ending == 0


def refused_start(*arguments: str, module: str = "reward_server") -> str:
    """What a server says that does not start."""
    ended = subprocess.run(
        [sys.executable, "-m", module, *arguments], capture_output=True, text=True, timeout=60
    )
    assert ended.returncode == 2, ended
    assert ended.stdout == ""
    (line,) = ended.stderr.splitlines()
    assert line.startswith("error: ")
    return line


@contextlib.contextmanager
def started(*arguments: str) -> Iterator[str]:
    """Where a server listens."""
    process = subprocess.Popen(
        [sys.executable, "-m", "reward_server", *arguments], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        assert " serving on " in line
        yield line.split()[-1]
    finally:
        process.terminate()
        assert process.wait(TIMEOUT_S) == 0
        process.stdout.close()


def test_plaintext_beyond_loopback_must_be_asked_for() -> None:
    line = refused_start("--listen", "0.0.0.0:0")
    assert "listen" in line
    assert "--insecure" in line


async def test_plaintext_beyond_loopback_can_be_asked_for() -> None:
    with started("--listen", "0.0.0.0:0", "--insecure", "--set", "workers=1") as address:
        port = address.rpartition(":")[2]
        async with RewardClient(f"127.0.0.1:{port}") as client:
            assert await client.health() == "SERVING"


def test_a_port_in_use_is_said() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        assert f"listen: cannot listen on {address}: the port is in use" in refused_start(
            "--listen", address
        )


@pytest.mark.parametrize("module", ["reward_server", "rollout_server", "learner"])
def test_every_server_refuses_what_it_does_not_know(module: str) -> None:
    assert "lisen: unknown key" in refused_start("--set", "lisen=x", module=module)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--set", "deadline_cap_s=soon"], "deadline_cap_s: "),
        (["--set", "max_message_bytes=1"], "max_message_bytes: "),
        (["--set", "deadline_cap_s"], "'deadline_cap_s' is not key=value"),
        (["--listen", "nowhere"], "listen: 'nowhere' is not HOST:PORT"),
        (["--listen", "127.0.0.1:65536"], "listen: '127.0.0.1:65536' is not HOST:PORT"),
        (["--config", "no/such.yaml"], "no/such.yaml: cannot be read"),
    ],
)
def test_a_config_that_does_not_hold_is_said(arguments: list[str], words: str) -> None:
    assert words in refused_start(*arguments)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("workers: [1", "not YAML: line 1"),
        ("- 1", "must hold `key: value` lines"),
        ("workers: many", "workers: "),
        ("verifiers: {math: {type: mth}}", "verifiers.math"),
        ("verifiers: {math: {type: math, bx: 1}}", "verifiers.math.bx: unknown key"),
        ("serve: {reward: {wrkers: 1}}", "wrkers: unknown key"),
        ("tls: {cert_file: c.pem}", "tls.key_file: is required"),
        ("tls: {cert_file: c.pem, key_file: k.pem}", "tls.key_file: cannot read k.pem"),
    ],
)
def test_a_config_file_that_does_not_hold_is_said(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "server.yaml"
    path.write_text(text)
    assert words in refused_start("--config", str(path))


def test_the_config_is_shown(tmp_path: Path) -> None:
    path = tmp_path / "server.yaml"
    path.write_text("workers: 3\n")
    arguments = ["--config", str(path), "--set", "item_deadline_s=2", "--print-config"]
    shown = subprocess.run(
        [sys.executable, "-m", "reward_server", *arguments], capture_output=True, text=True
    )
    assert shown.returncode == 0
    assert "workers: 3\n" in shown.stdout
    assert "item_deadline_s: 2.0\n" in shown.stdout


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an authority, and a server's and a client's certificate of it."""
    folder = tmp_path_factory.mktemp("tls")
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    openssl("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=authority")
    for name in ("server", "client"):
        openssl(
            "req", "-x509", *key, "-keyout", f"{name}.key", "-out", f"{name}.pem",
            "-subj", f"/CN={name}", "-CA", "ca.pem", "-CAkey", "ca.key",
            "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost",
            "-addext", "basicConstraints=critical,CA:FALSE",
        )  # fmt: skip
    return folder


async def health_with(target: str, **files: Path) -> str:
    tls = ClientTlsConfig(**files) if files else None
    async with RewardClient(target, tls=tls) as client:
        return await client.health(timeout_s=5)


async def test_tls_takes_clients_that_trust_the_authority(certificates: Path) -> None:
    pair = ["--tls-cert", f"{certificates}/server.pem", "--tls-key", f"{certificates}/server.key"]
    with started("--listen", "127.0.0.1:0", "--set", "workers=1", *pair) as target:
        assert await health_with(target, ca_file=certificates / "ca.pem") == "SERVING"
        assert await health_with(target, ca_file=certificates / "client.pem") == "UNREACHABLE"
        assert await health_with(target) == "UNREACHABLE"
        async with RewardClient(target) as plain:
            with pytest.raises(RemoteError) as caught:
                await plain.score([], timeout_s=5)
        assert caught.value.code == "UNAVAILABLE"


async def test_mutual_tls_refuses_clients_without_a_certificate(certificates: Path) -> None:
    ca, own = certificates / "ca.pem", certificates / "server.pem"
    arguments = ["--tls-cert", str(own), "--tls-key", str(own.with_suffix(".key"))]
    arguments += ["--tls-client-ca", str(ca), "--set", "workers=1", "--listen", "127.0.0.1:0"]
    pair = {"cert_file": certificates / "client.pem", "key_file": certificates / "client.key"}
    with started(*arguments) as target:
        assert await health_with(target, ca_file=ca, **pair) == "SERVING"
        assert await health_with(target, ca_file=ca) == "UNREACHABLE"

"""What the server tells about itself, and the standard services beside it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc
from grpc import aio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2

from trimtab.conformance.model import Broken, Level, NotJudged, check
from trimtab.conformance.peer import Peer, Refused
from trimtab.reward.v1 import reward_pb2

SERVICE = "trimtab.reward.v1.RewardService"
_OFFERS = "Tells what this server offers and how busy it is."


@check(
    "get-info",
    level=Level.REQUIRED,
    contract=_OFFERS,
    mend="Implement GetInfo: name every verifier, each once. A run asks it before it starts.",
)
async def get_info(peer: Peer) -> str:
    """Asks, and looks at the names."""
    try:
        info = await peer.stub.GetInfo(reward_pb2.GetInfoRequest(), timeout=peer.options.timeout_s)
    except aio.AioRpcError as error:
        raise Refused(error) from error
    names = [verifier.name for verifier in info.verifiers]
    if not names:
        raise Broken("no verifier is named")
    if not all(names):
        raise Broken("a verifier has no name")
    if len(set(names)) < len(names):
        raise Broken(f"a name comes twice: {', '.join(names)}")
    return f"{info.server or 'a server without a name'}: {', '.join(names)[:100]}"


@check(
    "info-limits",
    level=Level.RECOMMENDED,
    contract="Set by the server; most items in one `Score`.",
    mend="Fill in server, max_items, max_response_bytes, max_message_bytes, and each verifier's "
    "version, so that callers can cut their batches and tell verdicts of two versions apart.",
)
async def info_limits(peer: Peer) -> str:
    """Looks for what callers plan with."""
    info = peer.info
    if info is None:
        raise NotJudged("GetInfo does not answer: see get-info")
    fields = ("server", "max_items", "max_response_bytes", "max_message_bytes")
    missing = [name for name in fields if not getattr(info, name)]
    # A route's version is that of the server behind it, which each result tells.
    unversioned = [v.name for v in info.verifiers if not v.version and v.type != "route"]
    if unversioned:
        missing.append(f"version of {', '.join(unversioned)}")
    if missing:
        raise Broken(f"not told: {', '.join(missing)}")
    return f"{info.max_items} items, {info.max_response_bytes} bytes a response"


@check(
    "health",
    level=Level.RECOMMENDED,
    contract="",
    mend=f"Serve grpc.health.v1.Health and set SERVING for the names '' and '{SERVICE}': "
    "balancers and Kubernetes ask it.",
)
async def health(peer: Peer) -> str:
    """Asks for both names."""
    stub: Any = health_pb2_grpc.HealthStub(peer.channel)
    for name in ("", SERVICE):
        request = health_pb2.HealthCheckRequest(service=name)
        try:
            reply = await stub.Check(request, timeout=peer.options.timeout_s)
        except aio.AioRpcError as error:
            raise Broken(f"service {name!r}: {error.code().name}") from error
        if reply.status != health_pb2.HealthCheckResponse.SERVING:
            state = health_pb2.HealthCheckResponse.ServingStatus.Name(reply.status)
            raise Broken(f"service {name!r} is {state}")
    return "SERVING under both names"


@check(
    "reflection",
    level=Level.RECOMMENDED,
    contract="",
    mend=f"Enable server reflection for {SERVICE}, so that people can call it without the protos.",
)
async def reflection(peer: Peer) -> str:
    """Asks for the list of services, under both versions of the protocol."""
    problem = ""
    for version in ("v1", "v1alpha"):
        try:
            names = await _listed(peer, version)
        except aio.AioRpcError as error:
            problem = error.code().name
            continue
        if SERVICE not in names:
            raise Broken(f"{SERVICE} is not among {', '.join(sorted(names))}")
        return f"{len(names)} services by {version}"
    raise Broken(f"no reflection: {problem}")


async def _listed(peer: Peer, version: str) -> set[str]:
    # Both versions have the same messages; only the path differs.
    serialize: Callable[[Any], bytes] = reflection_pb2.ServerReflectionRequest.SerializeToString
    ask = peer.channel.stream_stream(
        f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
        request_serializer=serialize,
        response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
    )
    request = reflection_pb2.ServerReflectionRequest(list_services="")
    call: Any = ask(iter([request]), timeout=peer.options.timeout_s)
    names: set[str] = set()
    async for reply in call:
        names.update(service.name for service in reply.list_services_response.service)
    if not names:
        raise aio.AioRpcError(
            grpc.StatusCode.UNIMPLEMENTED, aio.Metadata(), aio.Metadata(), "an empty list"
        )
    return names


CHECKS = (get_info, info_limits, health, reflection)

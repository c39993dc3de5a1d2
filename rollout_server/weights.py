"""Takes new weights from a stream or from files: one at a time, whole or not at all."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rollout_server.engine import Engine, Exchanged, InFlight, WeightsRef
from rollout_server.manifest import check_manifest, check_tensors
from rollout_server.weight_files import read_files
from trimtab.common.v1 import weights_pb2
from trimtab.errors import Reason, ServiceError
from trimtab.server.logs import get_logger
from trimtab.weights.transfer import FullReceiver, TensorBytes

_log = get_logger("rollout.weights")
_REMEMBERED_ANSWERS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """Evidence that the weights asked for are the ones that serve."""

    weights: WeightsRef
    received_digest: str
    receiving_s: float
    exchanged: Exchanged


@dataclass(frozen=True, slots=True)
class Received:
    """Weights that are complete and checked, not yet applied."""

    tensors: Sequence[TensorBytes]
    digest: str


Receive = Callable[[], Awaitable[Received]]


class WeightsDesk:
    """Serves updates and loads. One is under way at a time; answers are remembered by id."""

    def __init__(self, engine: Engine, *, timeout_s: float, roots: Sequence[Path]) -> None:
        """`roots` are the folders that loads may read below."""
        self._engine = engine
        self._timeout_s = timeout_s
        self._roots = tuple(roots)
        self._answers: OrderedDict[str, Proof] = OrderedDict()
        self._current_id = ""
        self._current: asyncio.Future[Proof] | None = None

    async def update(
        self,
        request_id: str,
        manifest: weights_pb2.WeightsManifest,
        chunks: AsyncIterator[weights_pb2.WeightsChunk],
        in_flight: InFlight,
    ) -> Proof:
        """Takes a FULL update from a stream.

        A repeat of a finished `request_id` is answered from the first, without reading on.

        Raises:
            ServiceError: the manifest does not fit the model, the stream is not what it announced,
                another update is under way, or it took longer than `update_timeout_s`.
        """
        wanted = WeightsRef(
            manifest.weights.lineage, manifest.weights.version, manifest.weights.digest
        )

        async def receive() -> Received:
            check_manifest(manifest, self._engine)
            # Allocating gigabytes takes a while.
            receiver = await asyncio.to_thread(FullReceiver, manifest)
            async for chunk in chunks:
                receiver.add(chunk)
            tensors, digest = receiver.finish()
            return Received(tensors, digest)

        return await self._run(request_id, wanted, receive, in_flight, outlives_caller=False)

    async def load(
        self, request_id: str, path: str, weights: WeightsRef, in_flight: InFlight
    ) -> Proof:
        """Takes weights from safetensors files; an empty digest is not checked.

        A repeat of a `request_id` joins the load under way or is answered from the first: the load
        goes on when its caller is gone.

        Raises:
            ServiceError: the path is not allowed or holds no weights, they do not fit the model or
                the digest, another update is under way, or it took longer than `update_timeout_s`.
        """

        async def receive() -> Received:
            tensors, digest = await asyncio.to_thread(read_files, path, self._roots, self._engine)
            check_tensors(tensors, self._engine)
            if weights.digest and weights.digest != digest:
                raise ServiceError(
                    Reason.DIGEST_MISMATCH,
                    f"the digest of {path} is {digest}, announced was {weights.digest}; nothing "
                    "was applied",
                )
            return Received(tensors, digest)

        return await self._run(request_id, weights, receive, in_flight, outlives_caller=True)

    async def _run(
        self,
        request_id: str,
        wanted: WeightsRef,
        receive: Receive,
        in_flight: InFlight,
        *,
        outlives_caller: bool,
    ) -> Proof:
        answer = self._answers.get(request_id)
        if answer is not None:
            return _same(answer, request_id, wanted)
        if self._current is not None:
            if request_id and request_id == self._current_id:
                return _same(await _joined(self._current), request_id, wanted)
            raise ServiceError(
                Reason.UPDATE_IN_PROGRESS,
                f"update {self._current_id or 'without an id'} is under way: come again when it is "
                "done",
            )
        current = asyncio.get_running_loop().create_task(
            self._exchange(wanted, receive, in_flight), name=f"update {request_id}"
        )
        self._current, self._current_id = current, request_id
        current.add_done_callback(self._on_done)
        try:
            return await asyncio.shield(current)
        except asyncio.CancelledError:
            # What the engine has begun to apply ends by itself.
            if not outlives_caller:
                current.cancel()
            raise

    async def _exchange(self, wanted: WeightsRef, receive: Receive, in_flight: InFlight) -> Proof:
        """Receives, then applies. Cancelling it before the engine has begun changes nothing."""
        began_s = time.monotonic()
        try:
            async with asyncio.timeout(self._timeout_s):
                received = await receive()
        except TimeoutError as error:
            raise self._too_slow("receiving") from error
        receiving_s = time.monotonic() - began_s
        weights = WeightsRef(wanted.lineage, wanted.version, received.digest)
        done = self._engine.exchange(received.tensors, weights, in_flight)
        applied = asyncio.wrap_future(done)
        try:
            await asyncio.wait({applied}, timeout=max(self._timeout_s - receiving_s, 0))
        except asyncio.CancelledError:
            if done.cancel():
                raise
        if not applied.done() and done.cancel():
            raise self._too_slow("waiting for running samples")
        proof = Proof(
            weights=weights,
            received_digest=received.digest,
            receiving_s=receiving_s,
            exchanged=await applied,
        )
        _log.info(
            "weights exchanged",
            lineage=weights.lineage,
            version=weights.version,
            receiving_s=round(receiving_s, 3),
            waiting_s=round(proof.exchanged.waiting_s, 3),
            applying_s=round(proof.exchanged.applying_s, 3),
        )
        return proof

    def _on_done(self, current: asyncio.Task[Proof]) -> None:
        if self._current_id and not current.cancelled() and current.exception() is None:
            self._answers[self._current_id] = current.result()
            while len(self._answers) > _REMEMBERED_ANSWERS:
                self._answers.popitem(last=False)
        self._current, self._current_id = None, ""

    def _too_slow(self, doing: str) -> ServiceError:
        return ServiceError(
            Reason.DEADLINE_EXCEEDED,
            f"{doing} took longer than update_timeout_s = {self._timeout_s:g}; nothing was applied",
        )


async def _joined(current: asyncio.Future[Proof]) -> Proof:
    """The answer of a call under way, for its repeat."""
    try:
        return await asyncio.shield(current)
    except asyncio.CancelledError:
        if current.cancelled():
            raise ServiceError(
                Reason.UPDATE_IN_PROGRESS, "the first call of this id was cut off: send it again"
            ) from None
        raise


def _same(answer: Proof, request_id: str, wanted: WeightsRef) -> Proof:
    """The first answer, if the repeat asks for the same weights."""
    first = answer.weights
    same_digest = not wanted.digest or wanted.digest == first.digest
    if (wanted.lineage, wanted.version) == (first.lineage, first.version) and same_digest:
        return answer
    raise ServiceError(
        Reason.DUPLICATE_ID,
        f"request_id {request_id!r} was used for lineage {first.lineage!r} version "
        f"{first.version}: other weights need an id of their own",
        field="request_id",
    )

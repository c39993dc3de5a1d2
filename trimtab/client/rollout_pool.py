"""Several rollout servers behind one client: spreading, weights, and what was lost sent again."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass

from trimtab.client.addresses import resolved
from trimtab.client.channel import Tls
from trimtab.client.rollout import RolloutClient
from trimtab.common.v1 import sampling_pb2, weights_pb2
from trimtab.errors import Reason, RemoteError, ServiceError
from trimtab.rollout.v1 import rollout_pb2
from trimtab.weights.transfer import TensorBytes, chunks

_PUSHES_AT_ONCE = 2
_RETRY_PAUSE_S = 0.5
_ASKING_S = 10.0
_MENDABLE = frozenset(
    {"UNAVAILABLE", "RESOURCE_EXHAUSTED", "ABORTED", "CANCELLED", "UNKNOWN", "DEADLINE_EXCEEDED"}
)

Event = rollout_pb2.Sample | rollout_pb2.PromptError


@dataclass(frozen=True, slots=True)
class WeightsSnapshot:
    """Weights that can be pushed again at any time."""

    manifest: weights_pb2.WeightsManifest
    """Table of contents; its `weights` is the id."""
    tensors: Sequence[TensorBytes]
    """The bytes."""


class RolloutPool:
    """Generates on all servers that have the current weights; the others are kept out."""

    def __init__(
        self,
        targets: Sequence[str],
        *,
        tls: Tls | None,
        call_timeout_s: float,
        patience_s: float,
        min_replicas: int = 1,
    ) -> None:
        """`patience_s` is how long nothing may move before a call gives up."""
        self._targets = tuple(targets)
        self._tls = tls
        self._call_timeout_s = call_timeout_s
        self._patience_s = patience_s
        self._min_replicas = min_replicas
        self._replicas: dict[str, RolloutClient] = {}
        self._ready: set[str] = set()
        self._snapshot: WeightsSnapshot | None = None
        self._pushing = asyncio.Semaphore(_PUSHES_AT_ONCE)

    async def infos(self) -> Mapping[str, rollout_pb2.GetInfoResponse]:
        """What each server says of itself, by address.

        Raises:
            ServiceError: PEER_UNAVAILABLE; a server did not answer within the patience.
        """
        give_up_s = time.monotonic() + self._patience_s
        while True:
            await self._resolve()
            try:
                replies = await asyncio.gather(
                    *(replica.get_info() for replica in self._replicas.values())
                )
                return dict(zip(self._replicas, replies, strict=True))
            except RemoteError as error:
                if time.monotonic() > give_up_s:
                    raise _given_up(self._patience_s, str(error)) from error
            await asyncio.sleep(_RETRY_PAUSE_S)

    async def publish(self, snapshot: WeightsSnapshot) -> list[rollout_pb2.WeightsProof]:
        """Pushes the weights to every server; returns once `min_replicas` have them.

        The rest stay out of generation until a later call brings them up.

        Raises:
            ServiceError: PEER_UNAVAILABLE; too few took them within the patience.
            RemoteError: a server refused them.
        """
        self._snapshot = snapshot
        self._ready.clear()
        return await self._bring_up()

    async def generate(
        self,
        prompts: Sequence[rollout_pb2.Prompt],
        *,
        samples_per_prompt: int,
        sampling: sampling_pb2.SamplingParams,
        want: rollout_pb2.Want,
    ) -> AsyncIterator[Event]:
        """Each sample once, in any order; a server's death costs time, not samples.

        Raises:
            ServiceError: PEER_UNAVAILABLE; nothing moved for as long as the patience.
            RemoteError: a server refused the call for a reason that waiting does not mend.
        """
        missing = {prompt.id: set(range(samples_per_prompt)) for prompt in prompts}
        moved_s = time.monotonic()
        trouble = "no rollout server is ready"
        while missing:
            await self._bring_up()
            events: asyncio.Queue[Event | RemoteError | None] = asyncio.Queue()
            calls = self._calls(prompts, missing, sampling, want, events)
            try:
                running = len(calls)
                while running:
                    event = await events.get()
                    if event is None:
                        running -= 1
                    elif isinstance(event, RemoteError):
                        if not _is_mendable(event):
                            raise event
                        trouble = str(event)
                    elif _settles(event, missing):
                        moved_s = time.monotonic()
                        yield event
            finally:
                for call in calls:
                    call.cancel()
                await asyncio.gather(*calls, return_exceptions=True)
            if missing:
                if time.monotonic() - moved_s > self._patience_s:
                    raise _given_up(self._patience_s, trouble)
                await asyncio.sleep(_RETRY_PAUSE_S)

    def _calls(
        self,
        prompts: Sequence[rollout_pb2.Prompt],
        missing: Mapping[str, set[int]],
        sampling: sampling_pb2.SamplingParams,
        want: rollout_pb2.Want,
        events: asyncio.Queue[Event | RemoteError | None],
    ) -> list[asyncio.Task[None]]:
        """One call per server and set of missing samples, prompts dealt out in turn."""
        addresses = sorted(self._ready)
        dealt: dict[tuple[str, tuple[int, ...]], list[rollout_pb2.Prompt]] = defaultdict(list)
        open_prompts = [prompt for prompt in prompts if prompt.id in missing]
        for turn, prompt in enumerate(open_prompts):
            address = addresses[turn % len(addresses)]
            dealt[address, tuple(sorted(missing[prompt.id]))].append(prompt)
        weights = self._snapshot.manifest.weights if self._snapshot else None
        return [
            asyncio.create_task(
                self._call(
                    address,
                    rollout_pb2.GenerateRequest(
                        prompts=part,
                        sample_indices=indices,
                        sampling=sampling,
                        want=want,
                        min_weights=weights,
                    ),
                    events,
                )
            )
            for (address, indices), part in dealt.items()
        ]

    async def _call(
        self,
        address: str,
        request: rollout_pb2.GenerateRequest,
        events: asyncio.Queue[Event | RemoteError | None],
    ) -> None:
        replica = self._replicas[address]
        try:
            async for response in replica.generate(request, timeout_s=self._call_timeout_s):
                if response.HasField("sample"):
                    events.put_nowait(response.sample)
                elif response.HasField("prompt_error"):
                    events.put_nowait(response.prompt_error)
        except RemoteError as error:
            self._ready.discard(address)
            events.put_nowait(error)
        finally:
            events.put_nowait(None)

    async def _bring_up(self) -> list[rollout_pb2.WeightsProof]:
        """Asks every server that is not ready; gives the current weights to those without them."""
        give_up_s = time.monotonic() + self._patience_s
        trouble = "no address"
        proofs: list[rollout_pb2.WeightsProof] = []
        while True:
            await self._resolve()
            lacking = [address for address in self._replicas if address not in self._ready]
            results = await asyncio.gather(
                *(self._prepare(address) for address in lacking), return_exceptions=True
            )
            for result in results:
                if isinstance(result, RemoteError) and _is_mendable(result):
                    trouble = str(result)
                elif isinstance(result, BaseException):
                    raise result
                elif result is not None:
                    proofs.append(result)
            if len(self._ready) >= min(self._min_replicas, max(len(self._replicas), 1)):
                return proofs
            if time.monotonic() > give_up_s:
                raise _given_up(self._patience_s, trouble)
            await asyncio.sleep(_RETRY_PAUSE_S)

    async def _prepare(self, address: str) -> rollout_pb2.WeightsProof | None:
        replica = self._replicas[address]
        async with self._pushing:
            proof = None
            info = await replica.get_info(timeout_s=min(_ASKING_S, self._call_timeout_s))
            if self._snapshot and info.weights != self._snapshot.manifest.weights:
                proof = await replica.update_weights(
                    self._snapshot.manifest,
                    chunks(self._snapshot.tensors),
                    timeout_s=self._call_timeout_s,
                )
            self._ready.add(address)
            return proof

    async def _resolve(self) -> None:
        """Takes new addresses in; forgets those that are gone."""
        addresses = [a for target in self._targets for a in await resolved(target)]
        for address in set(self._replicas) - set(addresses):
            self._ready.discard(address)
            await self._replicas.pop(address).close()
        for address in addresses:
            if address not in self._replicas:
                self._replicas[address] = RolloutClient(address, tls=self._tls)

    async def close(self) -> None:
        """Closes all connections."""
        for replica in self._replicas.values():
            await replica.close()


def _settles(event: Event, missing: dict[str, set[int]]) -> bool:
    """Takes what the event answers off the list; False if it answers nothing that is open."""
    open_indices = missing.get(event.prompt_id)
    if open_indices is None:
        return False
    if isinstance(event, rollout_pb2.PromptError) and not event.HasField("sample_index"):
        del missing[event.prompt_id]
        return True
    if event.sample_index not in open_indices:
        return False
    if (
        isinstance(event, rollout_pb2.Sample)
        and event.finish_reason == sampling_pb2.FINISH_REASON_ABORTED
    ):
        return False
    open_indices.discard(event.sample_index)
    if not open_indices:
        del missing[event.prompt_id]
    return True


def _is_mendable(error: RemoteError) -> bool:
    """True if waiting, or pushing the weights again, may help."""
    return error.code in _MENDABLE or error.reason == Reason.WEIGHTS_MISMATCH


def _given_up(patience_s: float, trouble: str) -> ServiceError:
    return ServiceError(
        Reason.PEER_UNAVAILABLE, f"no rollout server could be used for {patience_s:g} s: {trouble}"
    )

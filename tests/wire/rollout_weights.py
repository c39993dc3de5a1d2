"""Weights for the tests: the tiny model's, changed, as they travel."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file

from tests.wire.rollout_server_process import TIMEOUT_S, RolloutServer
from trimtab.rollout.v1 import rollout_pb2
from trimtab.weights.torch_bytes import to_bytes
from trimtab.weights.transfer import TensorBytes, chunks, full_manifest

TINY = Path(rollout_pb2.__file__).parents[2] / "assets" / "tiny"
Weights = dict[str, torch.Tensor]


def tiny_weights(noise: float = 0.0, seed: int = 0) -> Weights:
    """The bundled model's weights, with some noise on each."""
    generator = torch.Generator().manual_seed(seed)
    return {
        name: tensor + noise * torch.randn(tensor.shape, generator=generator)
        for name, tensor in load_file(TINY / "model.safetensors").items()
    }


def digest_of(weights: Weights) -> str:
    """The digest, from its definition."""
    lines = [
        f"{name} {hashlib.sha256(weights[name].numpy().tobytes()).hexdigest()}\n"
        for name in sorted(weights)
    ]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def travelling(weights: Weights) -> Sequence[TensorBytes]:
    """The tensors as they are sent."""
    return [to_bytes(name, tensor, tensor.dtype) for name, tensor in weights.items()]


def update(
    weights: Weights,
    *,
    version: int = 1,
    lineage: str = "line",
    request_id: str = "",
    in_flight: rollout_pb2.InFlightMode.ValueType = rollout_pb2.IN_FLIGHT_MODE_UNSPECIFIED,
    change: Callable[[rollout_pb2.UpdateWeightsHeader], object] = lambda _: None,
) -> list[rollout_pb2.UpdateWeightsRequest]:
    """The messages of a FULL update; `change` may spoil its header."""
    tensors = travelling(weights)
    header = rollout_pb2.UpdateWeightsHeader(
        request_id=request_id,
        manifest=full_manifest(tensors, lineage=lineage, version=version),
        in_flight=in_flight,
    )
    change(header)
    pieces = [rollout_pb2.UpdateWeightsRequest(chunk=chunk) for chunk in chunks(tensors)]
    return [rollout_pb2.UpdateWeightsRequest(header=header), *pieces]


def send(
    server: RolloutServer,
    messages: Sequence[rollout_pb2.UpdateWeightsRequest]
    | Iterator[rollout_pb2.UpdateWeightsRequest],
) -> rollout_pb2.WeightsProof:
    """Pushes the update."""
    return server.stub.UpdateWeights(iter(messages), timeout=TIMEOUT_S).proof


def shuffled(weights: Weights) -> Weights:
    """The same weights in another order."""
    names = list(weights)
    random.Random(1).shuffle(names)
    return {name: weights[name] for name in names}

"""Cuts weights into a manifest and chunks, and puts chunks together again."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from trimtab.common.v1 import weights_pb2
from trimtab.errors import Reason, ServiceError
from trimtab.weights.digest import tensor_digest, weights_digest
from trimtab.weights.dtypes import ITEM_BYTES, WIRE_BY_NAME, dtype_name

CHUNK_BYTES = 1 << 20
"""Most bytes of one chunk."""


@dataclass(frozen=True, slots=True)
class TensorBytes:
    """A tensor as it travels."""

    name: str
    """Hugging Face name."""
    dtype: str
    """Element type by name, as "bfloat16"."""
    shape: tuple[int, ...]
    """Extent of each dimension."""
    data: memoryview
    """The elements, row-major, little-endian."""


def full_manifest(
    tensors: Sequence[TensorBytes], *, lineage: str, version: int
) -> weights_pb2.WeightsManifest:
    """The table of contents of a FULL transfer, its digest included."""
    digests = {tensor.name: tensor_digest(tensor.data) for tensor in tensors}
    return weights_pb2.WeightsManifest(
        weights=weights_pb2.WeightsId(
            lineage=lineage, version=version, digest=weights_digest(digests)
        ),
        kind=weights_pb2.WEIGHTS_KIND_FULL,
        tensors=[
            weights_pb2.WeightsTensor(
                name=tensor.name,
                dtype=WIRE_BY_NAME[tensor.dtype],
                shape=tensor.shape,
                byte_size=tensor.data.nbytes,
                sha256=digests[tensor.name],
            )
            for tensor in tensors
        ],
    )


def chunks(tensors: Sequence[TensorBytes]) -> Iterator[weights_pb2.WeightsChunk]:
    """The bytes of the tensors, in the manifest's order."""
    for index, tensor in enumerate(tensors):
        data = tensor.data.cast("B")
        for offset in range(0, data.nbytes, CHUNK_BYTES):
            yield weights_pb2.WeightsChunk(
                tensor_index=index, offset=offset, data=bytes(data[offset : offset + CHUNK_BYTES])
            )


def kind_name(kind: int) -> str:
    """The name of a kind of transfer; the number of one that this release does not know."""
    known = weights_pb2.WeightsKind
    return known.Name(known.ValueType(kind)) if kind in known.values() else f"kind {kind}"


class FullReceiver:
    """Puts the chunks of a FULL transfer together and proves that nothing is missing or wrong."""

    def __init__(self, manifest: weights_pb2.WeightsManifest) -> None:
        """Checks the manifest by itself.

        Raises:
            ServiceError: a field does not hold, or names appear twice.
        """
        if manifest.kind != weights_pb2.WEIGHTS_KIND_FULL:
            raise ServiceError(
                Reason.NOT_IMPLEMENTED,
                f"{kind_name(manifest.kind)} updates are not taken: send FULL",
            )
        if not manifest.weights.digest:
            raise ServiceError(
                Reason.INVALID_FIELD, "the digest is required", field="manifest.weights.digest"
            )
        self.manifest = manifest
        self._tensors = [_described(index, entry) for index, entry in enumerate(manifest.tensors)]
        for name, count in Counter(tensor.name for tensor in self._tensors).items():
            if count > 1:
                raise ServiceError(
                    Reason.DUPLICATE_ID, f"tensor {name!r} appears twice", field="manifest.tensors"
                )
        self._index = 0
        self._filled_bytes = 0
        self._hashes = [hashlib.sha256() for _ in self._tensors]
        self._skip_filled()

    @property
    def described(self) -> Sequence[TensorBytes]:
        """The tensors by name, type and shape; their bytes are still being filled in."""
        return self._tensors

    def add(self, chunk: weights_pb2.WeightsChunk) -> None:
        """Takes the next chunk.

        Raises:
            ServiceError: STREAM_OUT_OF_ORDER; it is not the next one, or too long.
        """
        expected = (self._index, self._filled_bytes)
        if self._index >= len(self._tensors):
            raise ServiceError(
                Reason.STREAM_OUT_OF_ORDER, "a chunk came after the last tensor was complete"
            )
        if (chunk.tensor_index, chunk.offset) != expected or not chunk.data:
            raise ServiceError(
                Reason.STREAM_OUT_OF_ORDER,
                f"expected bytes of tensor {expected[0]} from offset {expected[1]}, got "
                f"{len(chunk.data)} bytes of tensor {chunk.tensor_index} from {chunk.offset}",
            )
        tensor = self._tensors[self._index]
        end = self._filled_bytes + len(chunk.data)
        if end > tensor.data.nbytes:
            raise ServiceError(
                Reason.STREAM_OUT_OF_ORDER,
                f"tensor {tensor.name!r} has {tensor.data.nbytes} bytes, the chunk ends at {end}",
            )
        tensor.data[self._filled_bytes : end] = chunk.data
        self._hashes[self._index].update(chunk.data)
        self._filled_bytes = end
        self._skip_filled()

    def finish(self) -> tuple[Sequence[TensorBytes], str]:
        """The tensors and the digest of what was received.

        Raises:
            ServiceError: STREAM_INCOMPLETE or DIGEST_MISMATCH.
        """
        if self._index < len(self._tensors):
            tensor = self._tensors[self._index]
            raise ServiceError(
                Reason.STREAM_INCOMPLETE,
                f"the stream ended at byte {self._filled_bytes} of {tensor.data.nbytes} of tensor "
                f"{tensor.name!r} ({self._index + 1} of {len(self._tensors)}); nothing was applied",
            )
        digests: dict[str, str] = {}
        for tensor, entry, running in zip(
            self._tensors, self.manifest.tensors, self._hashes, strict=True
        ):
            digests[tensor.name] = running.hexdigest()
            if running.hexdigest() != entry.sha256:
                raise _mismatch(f"tensor {tensor.name!r}", entry.sha256, running.hexdigest())
        received = weights_digest(digests)
        if received != self.manifest.weights.digest:
            raise _mismatch("the whole", self.manifest.weights.digest, received)
        return self._tensors, received

    def _skip_filled(self) -> None:
        """Moves on to the next tensor that still lacks bytes; empty tensors have no chunk."""
        while (
            self._index < len(self._tensors)
            and self._filled_bytes == self._tensors[self._index].data.nbytes
        ):
            self._index += 1
            self._filled_bytes = 0


def _described(index: int, entry: weights_pb2.WeightsTensor) -> TensorBytes:
    field = f"manifest.tensors[{index}]"
    dtype = dtype_name(entry.dtype, field=f"{field}.dtype")
    expected_bytes = math.prod(entry.shape) * ITEM_BYTES[dtype]
    if not entry.name:
        raise ServiceError(Reason.INVALID_FIELD, "the name is required", field=f"{field}.name")
    if any(extent < 0 for extent in entry.shape) or entry.byte_size != expected_bytes:
        raise ServiceError(
            Reason.SHAPE_MISMATCH,
            f"{entry.name!r}: {list(entry.shape)} of {dtype} are {expected_bytes} bytes, "
            f"byte_size says {entry.byte_size}",
            field=f"{field}.byte_size",
        )
    return TensorBytes(entry.name, dtype, tuple(entry.shape), memoryview(bytearray(expected_bytes)))


def _mismatch(what: str, announced: str, received: str) -> ServiceError:
    return ServiceError(
        Reason.DIGEST_MISMATCH,
        f"the digest of {what} is {received}, announced was {announced}; nothing was applied",
    )

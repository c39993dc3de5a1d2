"""Weights cut into chunks and put together again, byte for byte or not at all."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from trimtab.common.v1 import tensor_pb2, weights_pb2
from trimtab.errors import Reason, ServiceError
from trimtab.weights.digest import tensor_digest, weights_digest
from trimtab.weights.dtypes import ITEM_BYTES, NAME_BY_WIRE, WIRE_BY_NAME
from trimtab.weights.torch_bytes import from_bytes, to_bytes, torch_dtype, unique_parameters
from trimtab.weights.transfer import (
    CHUNK_BYTES,
    FullReceiver,
    TensorBytes,
    chunks,
    full_manifest,
)

Manifest = weights_pb2.WeightsManifest
Chunk = weights_pb2.WeightsChunk


def raw(name: str, data: bytes) -> TensorBytes:
    return TensorBytes(name, "uint8", (len(data),), memoryview(data))


def manifest_of(tensors: Sequence[TensorBytes]) -> Manifest:
    return full_manifest(tensors, lineage="line", version=7)


def received(manifest: Manifest, pieces: Sequence[Chunk]) -> tuple[list[TensorBytes], str]:
    receiver = FullReceiver(manifest)
    for piece in pieces:
        receiver.add(piece)
    tensors, digest = receiver.finish()
    return list(tensors), digest


TENSORS = (raw("b", b"0123456789"), raw("a", b""), raw("c", bytes(CHUNK_BYTES + 3)))


def test_the_digest_is_what_the_contract_says() -> None:
    names = sorted(tensor.name for tensor in TENSORS)
    by_name = {tensor.name: bytes(tensor.data) for tensor in TENSORS}
    lines = [f"{name} {hashlib.sha256(by_name[name]).hexdigest()}\n" for name in names]
    expected = hashlib.sha256("".join(lines).encode()).hexdigest()
    digests = {tensor.name: tensor_digest(tensor.data) for tensor in TENSORS}
    assert weights_digest(digests) == expected
    assert manifest_of(TENSORS).weights.digest == expected
    assert manifest_of(TENSORS[::-1]).weights.digest == expected


def test_the_digest_of_nothing_is_that_of_no_bytes() -> None:
    assert weights_digest({}) == hashlib.sha256(b"").hexdigest()


def test_chunks_keep_to_their_size() -> None:
    sizes = [(chunk.tensor_index, chunk.offset, len(chunk.data)) for chunk in chunks(TENSORS)]
    assert sizes == [(0, 0, 10), (2, 0, CHUNK_BYTES), (2, CHUNK_BYTES, 3)]


@given(st.lists(st.binary(max_size=64), max_size=5), st.integers(min_value=1, max_value=9))
def test_any_cut_comes_back_the_same(contents: list[bytes], piece_bytes: int) -> None:
    tensors = [raw(f"t{index}", data) for index, data in enumerate(contents)]
    pieces = [
        Chunk(tensor_index=index, offset=offset, data=data[offset : offset + piece_bytes])
        for index, data in enumerate(contents)
        for offset in range(0, len(data), piece_bytes)
    ]
    manifest = manifest_of(tensors)
    back, digest = received(manifest, pieces)
    assert [bytes(tensor.data) for tensor in back] == contents
    assert digest == manifest.weights.digest


@pytest.mark.parametrize("dtype", sorted(WIRE_BY_NAME))
@pytest.mark.parametrize("shape", [(), (0,), (2, 0, 3), (5,), (2, 3, 4)])
def test_torch_tensors_come_back_the_same(dtype: str, shape: tuple[int, ...]) -> None:
    generator = torch.Generator().manual_seed(1)
    tensor = torch.randint(0, 2, shape, generator=generator).to(torch_dtype(dtype))
    sent = to_bytes("w", tensor, tensor.dtype)
    assert sent.data.nbytes == tensor.numel() * ITEM_BYTES[dtype]
    back, _ = received(manifest_of([sent]), list(chunks([sent])))
    assert back[0].dtype == dtype
    again = from_bytes(back[0])
    assert again.dtype == tensor.dtype
    assert again.shape == tensor.shape
    assert torch.equal(again, tensor)


def test_bytes_are_little_endian_and_row_major() -> None:
    tensor = torch.arange(6, dtype=torch.float32).reshape(2, 3).T
    expected = np.array([[0, 3], [1, 4], [2, 5]], dtype="<f4").tobytes()
    assert bytes(to_bytes("w", tensor, torch.float32).data) == expected
    halved = np.array([0x3F80, 0xC000], dtype="<u2").tobytes()
    assert bytes(to_bytes("w", torch.tensor([1.0, -2.0]), torch.bfloat16).data) == halved


def test_the_copy_does_not_follow_the_model() -> None:
    tensor = torch.zeros(3)
    sent = to_bytes("w", tensor, torch.float32)
    tensor.fill_(1)
    assert bytes(sent.data) == bytes(12)


def test_tied_weights_travel_once() -> None:
    embedding, head = torch.nn.Embedding(3, 2), torch.nn.Linear(2, 3, bias=False)
    head.weight = embedding.weight
    model = torch.nn.ModuleDict({"embed": embedding, "head": head})
    assert list(unique_parameters(model)) == ["embed.weight"]


def test_every_element_type_is_named_and_sized() -> None:
    known = set(tensor_pb2.DataType.values()) - {tensor_pb2.DATA_TYPE_UNSPECIFIED}
    assert set(NAME_BY_WIRE) == known
    assert {name: torch_dtype(name).itemsize for name in WIRE_BY_NAME} == dict(ITEM_BYTES)


PIECES = tuple(chunks(TENSORS))


@pytest.mark.parametrize(
    ("pieces", "reason"),
    [
        ((), Reason.STREAM_INCOMPLETE),
        (PIECES[:-1], Reason.STREAM_INCOMPLETE),
        ((Chunk(tensor_index=0, data=b"01234"),), Reason.STREAM_INCOMPLETE),
        (PIECES[1:], Reason.STREAM_OUT_OF_ORDER),
        ((PIECES[0], PIECES[2], PIECES[1]), Reason.STREAM_OUT_OF_ORDER),
        ((PIECES[0], PIECES[0]), Reason.STREAM_OUT_OF_ORDER),
        ((*PIECES, PIECES[-1]), Reason.STREAM_OUT_OF_ORDER),
        ((Chunk(tensor_index=0, offset=1, data=b"1"),), Reason.STREAM_OUT_OF_ORDER),
        ((Chunk(tensor_index=0, data=b""),), Reason.STREAM_OUT_OF_ORDER),
        ((Chunk(tensor_index=0, data=b"0123456789+"),), Reason.STREAM_OUT_OF_ORDER),
        ((Chunk(tensor_index=0, data=b"0123456780"), *PIECES[1:]), Reason.DIGEST_MISMATCH),
    ],
)
def test_a_stream_that_is_not_whole_and_in_order_is_refused(
    pieces: tuple[Chunk, ...], reason: Reason
) -> None:
    with pytest.raises(ServiceError) as caught:
        received(manifest_of(TENSORS), pieces)
    assert caught.value.reason is reason


def twice(manifest: Manifest) -> None:
    manifest.tensors.add().CopyFrom(manifest.tensors[0])


def set_tensor(**fields: object) -> Callable[[Manifest], None]:
    def change(manifest: Manifest) -> None:
        shape = fields.pop("shape", None)
        if isinstance(shape, list):
            manifest.tensors[0].shape[:] = shape
        for name, value in fields.items():
            setattr(manifest.tensors[0], name, value)

    return change


def set_kind(kind: int) -> Callable[[Manifest], None]:
    def change(manifest: Manifest) -> None:
        manifest.kind = weights_pb2.WeightsKind.ValueType(kind)

    return change


def set_digest(digest: str) -> Callable[[Manifest], None]:
    def change(manifest: Manifest) -> None:
        manifest.weights.digest = digest

    return change


@pytest.mark.parametrize(
    ("change", "reason", "field"),
    [
        (twice, Reason.DUPLICATE_ID, "manifest.tensors"),
        (set_tensor(name=""), Reason.INVALID_FIELD, "manifest.tensors[0].name"),
        (set_tensor(dtype=0), Reason.INVALID_FIELD, "manifest.tensors[0].dtype"),
        (set_tensor(dtype=99), Reason.INVALID_FIELD, "manifest.tensors[0].dtype"),
        (set_tensor(byte_size=9), Reason.SHAPE_MISMATCH, "manifest.tensors[0].byte_size"),
        (set_tensor(shape=[11]), Reason.SHAPE_MISMATCH, "manifest.tensors[0].byte_size"),
        (set_tensor(shape=[-2, -5]), Reason.SHAPE_MISMATCH, "manifest.tensors[0].byte_size"),
        (set_digest(""), Reason.INVALID_FIELD, "manifest.weights.digest"),
        (set_kind(weights_pb2.WEIGHTS_KIND_DELTA), Reason.NOT_IMPLEMENTED, ""),
        (set_kind(weights_pb2.WEIGHTS_KIND_ADAPTER), Reason.NOT_IMPLEMENTED, ""),
        (set_kind(99), Reason.NOT_IMPLEMENTED, ""),
    ],
)
def test_a_manifest_that_does_not_hold_is_refused(
    change: Callable[[Manifest], None], reason: Reason, field: str
) -> None:
    manifest = manifest_of(TENSORS)
    change(manifest)
    with pytest.raises(ServiceError) as caught:
        FullReceiver(manifest)
    assert caught.value.reason is reason
    assert caught.value.field == field


@pytest.mark.parametrize("change", [set_tensor(sha256="0" * 64), set_digest("0" * 64)])
def test_a_digest_that_does_not_hold_is_found(change: Callable[[Manifest], None]) -> None:
    manifest = manifest_of(TENSORS)
    change(manifest)
    with pytest.raises(ServiceError) as caught:
        received(manifest, PIECES)
    assert caught.value.reason is Reason.DIGEST_MISMATCH
    assert "nothing was applied" in caught.value.message

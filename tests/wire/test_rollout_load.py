"""LoadWeights: safetensors below the allowed folders, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
import torch
from safetensors.torch import save_file

from tests.wire.rollout_server_process import (
    TIMEOUT_S,
    RolloutServer,
    reason,
    running_rollout_server,
)
from tests.wire.rollout_weights import Weights, digest_of, send, tiny_weights, update
from trimtab.common.v1 import weights_pb2
from trimtab.rollout.v1 import rollout_pb2


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("weights")


@pytest.fixture(scope="module")
def server(root: Path) -> Iterator[RolloutServer]:
    with running_rollout_server(f"weights_roots=['{root}']") as running:
        yield running


def load(
    server: RolloutServer,
    path: Path | str,
    version: int = 1,
    digest: str = "",
    request_id: str = "",
) -> rollout_pb2.WeightsProof:
    request = rollout_pb2.LoadWeightsRequest(
        request_id=request_id,
        path=str(path),
        weights=weights_pb2.WeightsId(lineage="files", version=version, digest=digest),
    )
    return server.stub.LoadWeights(request, timeout=TIMEOUT_S).proof


def saved(path: Path, weights: Weights) -> Path:
    path.parent.mkdir(exist_ok=True)
    save_file(weights, path)
    return path


def failure(server: RolloutServer, path: Path | str, digest: str = "") -> str:
    before = server.info().weights
    with pytest.raises(grpc.RpcError) as caught:
        load(server, path, version=99, digest=digest)
    assert server.info().weights == before
    return reason(caught.value)


def test_a_file_and_a_folder_of_files_are_loaded(server: RolloutServer, root: Path) -> None:
    weights = tiny_weights(noise=0.01)
    one = load(server, saved(root / "one.safetensors", weights), version=1)
    assert one.received_digest == one.live_digest == digest_of(weights)
    assert one.weights.lineage == "files"
    other = tiny_weights(noise=0.01, seed=1)
    names = list(other)
    for part, chosen in enumerate((names[::2], names[1::2])):
        pieces = {name: other[name] for name in chosen}
        saved(root / "folder" / f"model-{part}.safetensors", pieces)
    two = load(server, root / "folder", version=2, digest=digest_of(other))
    assert two.live_digest == digest_of(other)
    assert server.info().weights == two.weights


def test_names_that_the_model_ties_are_left_out(server: RolloutServer, root: Path) -> None:
    weights = tiny_weights(noise=0.01, seed=2)
    tied = {**weights, "lm_head.weight": weights["model.embed_tokens.weight"].clone()}
    assert load(server, saved(root / "tied.safetensors", tied)).live_digest == digest_of(weights)


def test_a_repeat_gets_the_first_answer(server: RolloutServer, root: Path) -> None:
    path = saved(root / "again.safetensors", tiny_weights(noise=0.01, seed=3))
    first = load(server, path, version=7, request_id="load-7")
    send(server, update(tiny_weights(), version=8))
    assert load(server, path, version=7, request_id="load-7") == first
    assert server.info().weights.version == 8


def test_callers_with_one_id_join_one_load(server: RolloutServer, root: Path) -> None:
    path = saved(root / "joined.safetensors", tiny_weights(noise=0.01, seed=4))
    request = rollout_pb2.LoadWeightsRequest(
        request_id="load-9", path=str(path), weights=weights_pb2.WeightsId(version=9)
    )
    calls = [server.stub.LoadWeights.future(request, timeout=TIMEOUT_S) for _ in range(4)]
    proofs = [call.result().proof for call in calls]
    assert all(proof == proofs[0] for proof in proofs)


def test_a_load_goes_on_when_its_caller_is_gone(server: RolloutServer, root: Path) -> None:
    path = saved(root / "left.safetensors", tiny_weights(noise=0.01, seed=5))
    request = rollout_pb2.LoadWeightsRequest(
        request_id="load-10", path=str(path), weights=weights_pb2.WeightsId(version=10)
    )
    server.stub.LoadWeights.future(request, timeout=TIMEOUT_S).cancel()
    proof = server.stub.LoadWeights(request, timeout=TIMEOUT_S).proof
    assert server.info().weights == proof.weights
    assert proof.weights.version == 10


def test_paths_outside_the_roots_are_refused(
    server: RolloutServer, root: Path, tmp_path: Path
) -> None:
    outside = saved(tmp_path / "secret.safetensors", tiny_weights())
    (root / "link.safetensors").symlink_to(outside)
    (root / "linked").mkdir()
    (root / "linked" / "model.safetensors").symlink_to(outside)
    for path in (outside, root / "link.safetensors", root / "linked", f"{root}/../x", "/"):
        assert failure(server, path) == "PATH_NOT_ALLOWED"


def test_files_that_do_not_hold_the_model_change_nothing(server: RolloutServer, root: Path) -> None:
    (root / "empty").mkdir()
    text = root / "text.safetensors"
    text.write_text("these are no weights")
    weights = tiny_weights()
    halves = {name: tensor.to(torch.bfloat16) for name, tensor in weights.items()}
    fewer = dict(list(weights.items())[1:])
    more = {**weights, "extra": torch.zeros(1)}
    wrong = {**weights, "model.norm.weight": torch.zeros(3)}
    assert failure(server, root / "nowhere") == "FILE_NOT_FOUND"
    assert failure(server, root / "empty") == "FILE_NOT_FOUND"
    assert failure(server, "") == "INVALID_FIELD"
    assert failure(server, text) == "INVALID_FIELD"
    assert failure(server, saved(root / "h.safetensors", halves)) == "DTYPE_MISMATCH"
    assert failure(server, saved(root / "f.safetensors", fewer)) == "MISSING_TENSOR"
    assert failure(server, saved(root / "m.safetensors", more)) == "UNKNOWN_TENSOR"
    assert failure(server, saved(root / "w.safetensors", wrong)) == "SHAPE_MISMATCH"
    good = saved(root / "good.safetensors", weights)
    assert failure(server, good, digest="0" * 64) == "DIGEST_MISMATCH"


def test_loaded_weights_need_a_name(server: RolloutServer, root: Path) -> None:
    path = saved(root / "unnamed.safetensors", tiny_weights())
    with pytest.raises(grpc.RpcError) as caught:
        server.stub.LoadWeights(rollout_pb2.LoadWeightsRequest(path=str(path)), timeout=TIMEOUT_S)
    assert reason(caught.value) == "INVALID_FIELD"

"""Reads weights from safetensors files below the folders that a server allows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file

from rollout_server.engine import Engine
from trimtab.errors import Reason, ServiceError
from trimtab.model_path import within_roots
from trimtab.weights.digest import tensor_digest, weights_digest
from trimtab.weights.torch_bytes import to_bytes
from trimtab.weights.transfer import TensorBytes


def read_files(
    name: str, roots: Sequence[Path], engine: Engine
) -> tuple[Sequence[TensorBytes], str]:
    """The tensors of a safetensors file, or of all those in a folder, and their digest.

    Tensors that the model ties to others are left out. Blocks for as long as the disk takes.

    Raises:
        ServiceError: PATH_NOT_ALLOWED, FILE_NOT_FOUND, INVALID_FIELD or DUPLICATE_ID.
    """
    tensors: dict[str, TensorBytes] = {}
    for file in _files(name, roots):
        try:
            loaded = load_file(file)
        except (SafetensorError, OSError) as error:
            raise ServiceError(
                Reason.INVALID_FIELD,
                f"{file} is not a readable safetensors file: {error}",
                field="path",
            ) from error
        for tensor_name, tensor in loaded.items():
            if tensor_name in engine.tied_names:
                continue
            if tensor_name in tensors:
                raise ServiceError(
                    Reason.DUPLICATE_ID,
                    f"tensor {tensor_name!r} is in two files of {name}",
                    field="path",
                )
            tensors[tensor_name] = to_bytes(tensor_name, tensor, tensor.dtype)
    digest = weights_digest({key: tensor_digest(tensor.data) for key, tensor in tensors.items()})
    return list(tensors.values()), digest


def _files(name: str, roots: Sequence[Path]) -> Sequence[Path]:
    if not name:
        raise ServiceError(Reason.INVALID_FIELD, "the path is required", field="path")
    path = Path(name).expanduser()
    _check_allowed(path, roots)
    if path.is_file():
        return [path]
    files = sorted(path.glob("*.safetensors")) if path.is_dir() else []
    if not files:
        what = "holds no safetensors files" if path.is_dir() else "does not exist"
        raise ServiceError(
            Reason.FILE_NOT_FOUND, f"{path} {what} (looked from {Path.cwd()})", field="path"
        )
    for file in files:
        _check_allowed(file, roots)
    return files


def _check_allowed(path: Path, roots: Sequence[Path]) -> None:
    if not within_roots(path, roots):
        listed = ", ".join(str(root.resolve()) for root in roots)
        raise ServiceError(
            Reason.PATH_NOT_ALLOWED,
            f"{path} is outside the server's weights_roots ({listed})",
            field="path",
        )

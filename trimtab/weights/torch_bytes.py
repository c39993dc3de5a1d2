"""Between torch tensors and the bytes that travel. The only module here that imports torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from trimtab.weights.transfer import TensorBytes

_DTYPES: Mapping[str, torch.dtype] = {
    name: getattr(torch, name)
    for name in ("float32", "float16", "bfloat16", "float64", "int64", "int32", "uint8", "bool")
}


def torch_dtype(name: str) -> torch.dtype:
    """The torch type of a name, as "bfloat16"."""
    return _DTYPES[name]


def dtype_name(dtype: torch.dtype) -> str:
    """The name of a torch type, as "bfloat16"."""
    return str(dtype).removeprefix("torch.")


def to_bytes(name: str, tensor: torch.Tensor, dtype: torch.dtype) -> TensorBytes:
    """A copy of the tensor's elements in the given type, on the host."""
    host = tensor.detach().to(device="cpu", dtype=dtype, copy=True).contiguous()
    raw: Any = host.reshape(-1).view(torch.uint8).numpy()
    return TensorBytes(name, dtype_name(dtype), tuple(host.shape), memoryview(raw).cast("B"))


def from_bytes(tensor: TensorBytes) -> torch.Tensor:
    """A tensor over the same memory; the bytes must be writable."""
    flat = (
        torch.frombuffer(tensor.data, dtype=torch.uint8) if tensor.data.nbytes else torch.empty(0)
    )
    return flat.view(_DTYPES[tensor.dtype]).reshape(tensor.shape)


def unique_parameters(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    """The weights by Hugging Face name, tied ones once, in the module's order."""
    return dict(module.named_parameters(remove_duplicate=True))

"""Between numpy arrays and the contract's `Tensor`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from trimtab.common.v1 import tensor_pb2
from trimtab.errors import Reason, ServiceError
from trimtab.weights.dtypes import ITEM_BYTES, WIRE_BY_NAME, dtype_name

_NUMPY: Mapping[str, str] = {
    "float32": "<f4",
    "float16": "<f2",
    "float64": "<f8",
    "int64": "<i8",
    "int32": "<i4",
    "uint8": "u1",
    "bool": "?",
}


def to_tensor(array: npt.NDArray[Any], *, name: str = "") -> tensor_pb2.Tensor:
    """The array as it travels: row-major, little-endian.

    Raises:
        ServiceError: INVALID_FIELD; the contract has no such element type.
    """
    kind = array.dtype.name
    if kind not in _NUMPY:
        raise ServiceError(
            Reason.INVALID_FIELD,
            f"arrays of {kind} do not travel: use one of {', '.join(_NUMPY)}",
            field="dtype",
        )
    data = np.ascontiguousarray(array, dtype=_NUMPY[kind]).tobytes()
    return tensor_pb2.Tensor(name=name, dtype=WIRE_BY_NAME[kind], shape=array.shape, data=data)


def to_array(tensor: tensor_pb2.Tensor) -> npt.NDArray[Any]:
    """The tensor's elements, writable; bfloat16, which numpy lacks, becomes float32.

    Raises:
        ServiceError: the element type is not known, or the bytes do not fill the shape.
    """
    kind = dtype_name(tensor.dtype, field="dtype")
    expected_bytes = math.prod(tensor.shape) * ITEM_BYTES[kind]
    if any(extent < 0 for extent in tensor.shape) or len(tensor.data) != expected_bytes:
        raise ServiceError(
            Reason.SHAPE_MISMATCH,
            f"{list(tensor.shape)} of {kind} are {expected_bytes} bytes, data has "
            f"{len(tensor.data)}",
            field="data",
        )
    if kind == "bfloat16":
        # A bfloat16 is the upper half of the float32 of the same value.
        upper = np.frombuffer(tensor.data, dtype="<u2").astype("<u4") << 16
        return upper.view("<f4").reshape(tuple(tensor.shape))
    return np.frombuffer(tensor.data, dtype=_NUMPY[kind]).reshape(tuple(tensor.shape)).copy()

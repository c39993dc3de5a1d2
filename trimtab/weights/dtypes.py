"""Element types: their names, their sizes, their numbers on the wire."""

from __future__ import annotations

from collections.abc import Mapping

from trimtab.common.v1 import tensor_pb2
from trimtab.errors import Reason, ServiceError

DataType = tensor_pb2.DataType

WIRE_BY_NAME: Mapping[str, DataType.ValueType] = {
    "float32": DataType.DATA_TYPE_FLOAT32,
    "float16": DataType.DATA_TYPE_FLOAT16,
    "bfloat16": DataType.DATA_TYPE_BFLOAT16,
    "float64": DataType.DATA_TYPE_FLOAT64,
    "int64": DataType.DATA_TYPE_INT64,
    "int32": DataType.DATA_TYPE_INT32,
    "uint8": DataType.DATA_TYPE_UINT8,
    "bool": DataType.DATA_TYPE_BOOL,
}
NAME_BY_WIRE: Mapping[int, str] = {wire: name for name, wire in WIRE_BY_NAME.items()}
ITEM_BYTES: Mapping[str, int] = {
    "float32": 4,
    "float16": 2,
    "bfloat16": 2,
    "float64": 8,
    "int64": 8,
    "int32": 4,
    "uint8": 1,
    "bool": 1,
}


def dtype_name(wire: int, *, field: str) -> str:
    """The name of a type on the wire, as "bfloat16".

    Raises:
        ServiceError: INVALID_FIELD; the type is not set or not known.
    """
    if wire not in NAME_BY_WIRE:
        raise ServiceError(
            Reason.INVALID_FIELD,
            f"element type {wire} is not known: use one of {', '.join(sorted(WIRE_BY_NAME))}",
            field=field,
        )
    return NAME_BY_WIRE[wire]

"""Arrays as the contract's tensors."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from trimtab.common.v1 import tensor_pb2
from trimtab.errors import Reason, ServiceError
from trimtab.tensors import to_array, to_tensor


@pytest.mark.parametrize(
    "array",
    [
        np.arange(12, dtype=np.float32).reshape(3, 4).T,
        np.array(1.5, dtype=np.float64),
        np.zeros((0, 3), dtype=np.int32),
        np.array([[True, False]]),
        np.array([-(2**62)], dtype=np.int64),
        np.array([1, 2, 3], dtype=">f4"),
        np.array([0.1, -2], dtype=np.float16),
        np.array([0, 255], dtype=np.uint8),
    ],
)
def test_arrays_come_back_equal(array: npt.NDArray[Any]) -> None:
    travelled = tensor_pb2.Tensor.FromString(to_tensor(array, name="x").SerializeToString())
    found = to_array(travelled)
    assert travelled.name == "x"
    assert found.shape == array.shape
    assert found.dtype.name == array.dtype.name
    np.testing.assert_array_equal(found, array)
    found[...] = 0  # a reader may write to what it got


def test_bfloat16_becomes_float32() -> None:
    values = torch.tensor([[1.0, -0.1, 3e38]], dtype=torch.bfloat16)
    tensor = tensor_pb2.Tensor(
        dtype=tensor_pb2.DATA_TYPE_BFLOAT16,
        shape=values.shape,
        data=values.view(torch.uint8).numpy().tobytes(),
    )
    np.testing.assert_array_equal(to_array(tensor), values.float().numpy())


@pytest.mark.parametrize(
    ("tensor", "reason"),
    [
        (tensor_pb2.Tensor(shape=[1], data=b"1234"), Reason.INVALID_FIELD),
        (tensor_pb2.Tensor(dtype=tensor_pb2.DATA_TYPE_FLOAT32, shape=[2]), Reason.SHAPE_MISMATCH),
        (
            tensor_pb2.Tensor(dtype=tensor_pb2.DATA_TYPE_UINT8, shape=[-1, -1], data=b"1"),
            Reason.SHAPE_MISMATCH,
        ),
    ],
)
def test_what_does_not_fit_is_refused(tensor: tensor_pb2.Tensor, reason: Reason) -> None:
    with pytest.raises(ServiceError) as raised:
        to_array(tensor)
    assert raised.value.reason == reason


def test_types_that_do_not_travel_are_named() -> None:
    with pytest.raises(ServiceError, match="complex64"):
        to_tensor(np.zeros(2, dtype=np.complex64))

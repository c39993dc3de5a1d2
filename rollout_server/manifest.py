"""Checks that weights fit the live model before any byte of them is applied."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from rollout_server.engine import Engine, TensorSpec
from trimtab.common.v1 import weights_pb2
from trimtab.errors import Reason, ServiceError
from trimtab.weights.dtypes import dtype_name
from trimtab.weights.transfer import TensorBytes, kind_name

_MOST_NAMES = 3
"""Of tensors in one error."""


def check_manifest(manifest: weights_pb2.WeightsManifest, engine: Engine) -> None:
    """Refuses a manifest that is not a FULL one of exactly the live tensors.

    Raises:
        ServiceError: NOT_IMPLEMENTED, INVALID_FIELD, DUPLICATE_ID, UNKNOWN_TENSOR, MISSING_TENSOR,
            DTYPE_MISMATCH or SHAPE_MISMATCH.
    """
    if manifest.kind == weights_pb2.WEIGHTS_KIND_UNSPECIFIED:
        raise ServiceError(Reason.INVALID_FIELD, "the kind is required", field="manifest.kind")
    if manifest.kind != weights_pb2.WEIGHTS_KIND_FULL:
        raise ServiceError(
            Reason.NOT_IMPLEMENTED,
            f"this server takes no {kind_name(manifest.kind)} updates: send WEIGHTS_KIND_FULL",
            field="manifest.kind",
        )
    for name, count in Counter(tensor.name for tensor in manifest.tensors).items():
        if count > 1:
            raise ServiceError(
                Reason.DUPLICATE_ID, f"tensor {name!r} appears twice", field="manifest.tensors"
            )
    given = {
        tensor.name: TensorSpec(
            dtype_name(tensor.dtype, field=f"manifest.tensors[{index}].dtype"), tuple(tensor.shape)
        )
        for index, tensor in enumerate(manifest.tensors)
    }
    _check(given, engine)


def check_tensors(tensors: Sequence[TensorBytes], engine: Engine) -> None:
    """Refuses tensors that are not exactly the live ones.

    Raises:
        ServiceError: UNKNOWN_TENSOR, MISSING_TENSOR, DTYPE_MISMATCH or SHAPE_MISMATCH.
    """
    _check({tensor.name: TensorSpec(tensor.dtype, tensor.shape) for tensor in tensors}, engine)


def _check(given: Mapping[str, TensorSpec], engine: Engine) -> None:
    live = engine.tensors
    unknown = given.keys() - live.keys()
    if unknown:
        tied = unknown & engine.tied_names
        hint = "tied tensors travel once" if tied else "is it another model?"
        raise ServiceError(
            Reason.UNKNOWN_TENSOR,
            f"the model has no {_listed(tied or unknown)}: {hint}",
            field="manifest.tensors",
        )
    missing = live.keys() - given.keys()
    if missing:
        raise ServiceError(
            Reason.MISSING_TENSOR,
            f"{_listed(missing)} of the model's {len(live)} tensors did not come",
            field="manifest.tensors",
        )
    for name, spec in given.items():
        if spec.dtype != live[name].dtype:
            raise ServiceError(
                Reason.DTYPE_MISMATCH,
                f"tensor {name!r} is {spec.dtype}, this server serves {live[name].dtype}: cast it "
                "before sending",
                field="manifest.tensors",
            )
        if spec.shape != live[name].shape:
            raise ServiceError(
                Reason.SHAPE_MISMATCH,
                f"tensor {name!r} is {list(spec.shape)}, the model's is {list(live[name].shape)}",
                field="manifest.tensors",
            )


def _listed(names: Iterable[str]) -> str:
    ordered = sorted(names)
    shown = ", ".join(repr(name) for name in ordered[:_MOST_NAMES])
    more = len(ordered) - _MOST_NAMES
    return f"{shown} and {more} more" if more > 0 else shown

"""Merges and checks sampling parameters."""

from __future__ import annotations

import math

from rollout_server.engine import EngineInfo, Sampling
from trimtab.common.v1 import sampling_pb2
from trimtab.errors import Reason, ServiceError


def merged(
    base: sampling_pb2.SamplingParams, override: sampling_pb2.SamplingParams
) -> sampling_pb2.SamplingParams:
    """`base` with every field that `override` sets; a list that is not empty replaces."""
    result = sampling_pb2.SamplingParams()
    result.CopyFrom(base)
    for name in ("stop", "stop_token_ids"):
        if getattr(override, name):
            result.ClearField(name)
    result.MergeFrom(override)
    return result


def checked(
    params: sampling_pb2.SamplingParams, *, prompt_length: int, info: EngineInfo
) -> Sampling:
    """The parameters with neutral values for what is not set, `max_tokens` within the context.

    Raises:
        ServiceError: INVALID_FIELD or TOKEN_OUT_OF_RANGE.
    """
    room = info.context_length - prompt_length
    max_tokens = params.max_tokens if params.HasField("max_tokens") else room
    sampling = Sampling(
        temperature=params.temperature if params.HasField("temperature") else 1.0,
        top_p=params.top_p if params.HasField("top_p") else 1.0,
        top_k=params.top_k,
        min_p=params.min_p,
        typical_p=params.typical_p if params.HasField("typical_p") else 1.0,
        max_tokens=min(max_tokens, room),
        min_tokens=params.min_tokens,
        stop=tuple(params.stop),
        stop_token_ids=tuple(params.stop_token_ids),
    )
    _check_numbers(sampling, max_tokens)
    _check_stops(sampling, info)
    return sampling


def _check_numbers(sampling: Sampling, max_tokens: int) -> None:
    if not (math.isfinite(sampling.temperature) and sampling.temperature >= 0):
        raise _invalid("temperature", sampling.temperature, "must be finite and at least 0")
    for name in ("top_p", "typical_p"):
        if not 0 < getattr(sampling, name) <= 1:
            raise _invalid(name, getattr(sampling, name), "must be in (0, 1]")
    if not 0 <= sampling.min_p <= 1:
        raise _invalid("min_p", sampling.min_p, "must be in [0, 1]")
    if max_tokens < 1:
        raise _invalid("max_tokens", max_tokens, "must be at least 1, or omitted")
    if sampling.min_tokens > max_tokens:
        raise _invalid("min_tokens", sampling.min_tokens, f"exceeds max_tokens = {max_tokens}")


def _check_stops(sampling: Sampling, info: EngineInfo) -> None:
    if "" in sampling.stop:
        raise _invalid("stop", "", "must not hold an empty string")
    for token_id in sampling.stop_token_ids:
        if token_id >= info.vocabulary_size:
            raise ServiceError(
                Reason.TOKEN_OUT_OF_RANGE,
                f"stop token {token_id} is outside the vocabulary of {info.vocabulary_size}",
                field="sampling.stop_token_ids",
            )
    ends = {*sampling.stop_token_ids, *info.end_token_ids}
    if sampling.min_tokens and len(ends) >= info.vocabulary_size:
        raise _invalid(
            "min_tokens", sampling.min_tokens, "must be 0 where every token is a stop token"
        )


def _invalid(name: str, value: object, problem: str) -> ServiceError:
    return ServiceError(
        Reason.INVALID_FIELD, f"sampling.{name} = {value!r} {problem}", field=f"sampling.{name}"
    )

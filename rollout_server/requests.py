"""Checks a GenerateRequest and turns it into a task; a bad prompt is set apart."""

from __future__ import annotations

import json
import secrets
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from google.protobuf import struct_pb2

from rollout_server import sampling
from rollout_server.engine import EngineInfo, GenerateTask, PromptTask, Want, WeightsRef
from rollout_server.prompts import Chat, PromptEncoder, PromptInput, Text, Tokens
from rollout_server.seeds import sample_seed
from trimtab.common.v1 import message_pb2, sampling_pb2, weights_pb2
from trimtab.errors import Reason, ServiceError
from trimtab.rollout.v1 import rollout_pb2


@dataclass(frozen=True, slots=True)
class BadPrompt:
    """A prompt that cannot be served, and why."""

    prompt_id: str
    error: ServiceError


@dataclass(frozen=True, slots=True)
class Plan:
    """What a request asks for."""

    task: GenerateTask
    bad: Sequence[BadPrompt]


def plan(
    request: rollout_pb2.GenerateRequest,
    *,
    encoder: PromptEncoder,
    info: EngineInfo,
    max_samples: int,
) -> Plan:
    """The request's task. Encodes text, so it may take a while.

    Raises:
        ServiceError: the request as a whole does not hold: INVALID_FIELD, DUPLICATE_ID or
            TOO_MANY_ITEMS.
    """
    _check_ids(request.prompts)
    indices = _sample_indices(request, max_samples)
    drawn_seed = secrets.randbits(64)
    tasks: list[PromptTask] = []
    bad: list[BadPrompt] = []
    for prompt in request.prompts:
        params = sampling.merged(request.sampling, prompt.sampling)
        seed = params.seed if params.HasField("seed") else drawn_seed
        try:
            tasks.append(_task(prompt, params, seed, indices, encoder, info))
        except ServiceError as error:
            bad.append(BadPrompt(prompt.id, error))
    task = GenerateTask(prompts=tasks, want=_want(request.want), priority=request.priority)
    return Plan(task, bad)


def check_weights(minimum: weights_pb2.WeightsId, live: WeightsRef) -> None:
    """Refuses a call that asks for weights that this server does not have.

    Raises:
        ServiceError: WEIGHTS_MISMATCH.
    """
    if minimum.lineage != live.lineage or minimum.version > live.version:
        raise ServiceError(
            Reason.WEIGHTS_MISMATCH,
            f"this server has lineage {live.lineage!r} version {live.version}, asked for was "
            f"lineage {minimum.lineage!r} version {minimum.version} or later: push the weights",
            field="min_weights",
            metadata={"lineage": live.lineage, "version": str(live.version)},
        )


def _check_ids(prompts: Sequence[rollout_pb2.Prompt]) -> None:
    for index, prompt in enumerate(prompts):
        if not prompt.id:
            raise ServiceError(
                Reason.INVALID_FIELD, "every prompt needs an id", field=f"prompts[{index}].id"
            )
    for prompt_id, count in Counter(prompt.id for prompt in prompts).items():
        if count > 1:
            raise ServiceError(
                Reason.DUPLICATE_ID,
                f"{count} prompts have the id {prompt_id!r}: ids must be unique in a call",
                field="prompts",
            )


def _sample_indices(request: rollout_pb2.GenerateRequest, max_samples: int) -> tuple[int, ...]:
    samples = len(request.sample_indices) or request.samples_per_prompt or 1
    total = len(request.prompts) * samples
    if total > max_samples:
        raise ServiceError(
            Reason.TOO_MANY_ITEMS,
            f"{len(request.prompts)} prompts times {samples} samples are {total}, this server "
            f"takes {max_samples} in one call: split it",
            metadata={"count": str(total), "limit": str(max_samples)},
        )
    if not request.prompts:
        return ()
    indices = tuple(request.sample_indices) or tuple(range(request.samples_per_prompt or 1))
    if len(set(indices)) < len(indices):
        raise ServiceError(
            Reason.DUPLICATE_ID,
            "an index appears twice: give each sample once",
            field="sample_indices",
        )
    return indices


def _task(
    prompt: rollout_pb2.Prompt,
    params: sampling_pb2.SamplingParams,
    seed: int,
    indices: tuple[int, ...],
    encoder: PromptEncoder,
    info: EngineInfo,
) -> PromptTask:
    token_ids = encoder.encode(_input(prompt))
    if len(token_ids) + 1 > info.context_length:
        raise ServiceError(
            Reason.PROMPT_TOO_LONG,
            f"the prompt has {len(token_ids)} tokens, the context of {info.context_length} leaves "
            "no room for a sample: shorten it",
        )
    return PromptTask(
        prompt_id=prompt.id,
        token_ids=token_ids,
        sampling=sampling.checked(params, prompt_length=len(token_ids), info=info),
        sample_indices=indices,
        seeds=tuple(sample_seed(seed, prompt.id, index) for index in indices),
    )


def _input(prompt: rollout_pb2.Prompt) -> PromptInput:
    match prompt.WhichOneof("input"):
        case "text":
            return Text(prompt.text)
        case "chat":
            return Chat(
                messages=[_message(message) for message in prompt.chat.messages],
                tools=[_plain(tool) for tool in prompt.chat.tools],
                template_kwargs=_plain(prompt.chat.template_kwargs),
            )
        case "token_ids":
            return Tokens(prompt.token_ids.token_ids)
        case "segments":
            return Tokens(
                [token for segment in prompt.segments.segments for token in segment.token_ids]
            )
        case None:
            raise ServiceError(
                Reason.INVALID_FIELD,
                "the prompt has no input: set text, chat, token_ids or segments",
                field="input",
            )


def _message(message: message_pb2.Message) -> Mapping[str, Any]:
    """The message in the form that chat templates know."""
    plain: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.name:
        plain["name"] = message.name
    if message.tool_call_id:
        plain["tool_call_id"] = message.tool_call_id
    if message.tool_calls:
        plain["tool_calls"] = [_tool_call(call) for call in message.tool_calls]
    return plain


def _tool_call(call: message_pb2.ToolCall) -> Mapping[str, Any]:
    try:
        arguments = json.loads(call.arguments_json or "{}")
    except ValueError as error:
        raise ServiceError(
            Reason.INVALID_FIELD,
            f"arguments_json of the call of {call.name!r} is not JSON: {error}",
            field="chat.messages.tool_calls.arguments_json",
        ) from error
    plain: dict[str, Any] = {
        "type": "function",
        "function": {"name": call.name, "arguments": arguments},
    }
    if call.id:
        plain["id"] = call.id
    return plain


def _plain(struct: struct_pb2.Struct) -> dict[str, Any]:
    return {name: _plain_value(value) for name, value in struct.fields.items()}


def _plain_value(value: struct_pb2.Value) -> Any:
    match value.WhichOneof("kind"):
        case "number_value":
            number = value.number_value
            # Templates print numbers; a whole one was most likely written without a point.
            return int(number) if number.is_integer() else number
        case "string_value":
            return value.string_value
        case "bool_value":
            return value.bool_value
        case "struct_value":
            return _plain(value.struct_value)
        case "list_value":
            return [_plain_value(item) for item in value.list_value.values]
        case _:
            return None


def _want(want: rollout_pb2.Want) -> Want:
    return Want(
        logprobs=want.logprobs if want.HasField("logprobs") else True,
        model_logprobs=want.model_logprobs,
        entropies=want.entropies if want.HasField("entropies") else True,
        kept_set_sizes=want.kept_set_sizes,
        prompt_hidden_state=want.prompt_hidden_state,
        progress=want.progress,
    )

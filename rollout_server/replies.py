"""Turns domain objects into messages."""

from __future__ import annotations

from google.protobuf.duration_pb2 import Duration

from rollout_server.engine import (
    Event,
    FailedSample,
    Finish,
    FinishedSample,
    InFlight,
    ProgressCount,
    WeightsRef,
)
from rollout_server.requests import BadPrompt
from rollout_server.weights import Proof
from trimtab.common.v1 import sampling_pb2, weights_pb2
from trimtab.rollout.v1 import rollout_pb2
from trimtab.tensors import to_tensor

_FINISH_REASON = {
    Finish.EOS: sampling_pb2.FINISH_REASON_EOS,
    Finish.STOP: sampling_pb2.FINISH_REASON_STOP,
    Finish.LENGTH: sampling_pb2.FINISH_REASON_LENGTH,
    Finish.ABORTED: sampling_pb2.FINISH_REASON_ABORTED,
}
IN_FLIGHT_BY_WIRE = {
    rollout_pb2.IN_FLIGHT_MODE_UNSPECIFIED: InFlight.WAIT,
    rollout_pb2.IN_FLIGHT_MODE_WAIT: InFlight.WAIT,
    rollout_pb2.IN_FLIGHT_MODE_ABORT: InFlight.ABORT,
}
"""The modes that this server knows."""


def event_message(event: Event) -> rollout_pb2.GenerateResponse:
    """One event of a generation."""
    match event:
        case FinishedSample():
            return rollout_pb2.GenerateResponse(sample=_sample(event))
        case FailedSample():
            return rollout_pb2.GenerateResponse(
                prompt_error=rollout_pb2.PromptError(
                    prompt_id=event.prompt_id,
                    sample_index=event.sample_index,
                    reason=event.error.reason,
                    detail=event.error.message,
                )
            )
        case ProgressCount():
            return rollout_pb2.GenerateResponse(
                progress=rollout_pb2.Progress(
                    finished_count=event.finished_count,
                    total_count=event.total_count,
                    generated_token_count=event.generated_token_count,
                )
            )


def bad_prompt_message(bad: BadPrompt) -> rollout_pb2.GenerateResponse:
    """The error of a prompt none of whose samples can be served."""
    return rollout_pb2.GenerateResponse(
        prompt_error=rollout_pb2.PromptError(
            prompt_id=bad.prompt_id, reason=bad.error.reason, detail=bad.error.message
        )
    )


def weights_message(weights: WeightsRef) -> weights_pb2.WeightsId:
    """The id of the weights."""
    return weights_pb2.WeightsId(
        lineage=weights.lineage, version=weights.version, digest=weights.digest
    )


def proof_message(proof: Proof) -> rollout_pb2.WeightsProof:
    """The evidence of an exchange."""
    exchanged = proof.exchanged
    return rollout_pb2.WeightsProof(
        weights=weights_message(proof.weights),
        received_digest=proof.received_digest,
        live_digest=exchanged.live_digest,
        probe_token_ids=exchanged.probe_token_ids,
        probe_logprob=exchanged.probe_logprob,
        receiving=duration(proof.receiving_s),
        waiting=duration(exchanged.waiting_s),
        applying=duration(exchanged.applying_s),
    )


def duration(seconds: float) -> Duration:
    """A duration of so many seconds."""
    result = Duration()
    result.FromNanoseconds(int(seconds * 1e9))
    return result


def _sample(sample: FinishedSample) -> rollout_pb2.Sample:
    exact = sample.entropies is not None
    state_D = sample.prompt_hidden_state
    return rollout_pb2.Sample(
        prompt_id=sample.prompt.prompt_id,
        sample_index=sample.sample_index,
        prompt_token_ids=sample.prompt.token_ids,
        token_ids=sample.token_ids,
        text=sample.text,
        finish_reason=_FINISH_REASON[sample.finish],
        logprobs=sample.logprobs,
        model_logprobs=sample.model_logprobs,
        entropies=sample.entropies,
        entropy_kind=(
            sampling_pb2.ENTROPY_KIND_EXACT if exact else sampling_pb2.ENTROPY_KIND_ABSENT
        ),
        weights_spans=[
            weights_pb2.WeightsSpan(first_token=0, weights=weights_message(sample.weights))
        ],
        kept_set_sizes=sample.kept_set_sizes,
        prompt_hidden_state=(
            to_tensor(state_D, name="prompt_hidden_state") if state_D is not None else None
        ),
        timing=rollout_pb2.SampleTiming(
            waiting=duration(sample.waiting_s), generating=duration(sample.generating_s)
        ),
    )

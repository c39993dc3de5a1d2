"""What GetInfo tells."""

from __future__ import annotations

from dataclasses import dataclass

import trimtab
from rollout_server.engine import Engine
from rollout_server.replies import weights_message
from trimtab.common.v1 import sampling_pb2, weights_pb2
from trimtab.rollout.v1 import rollout_pb2
from trimtab.weights.dtypes import WIRE_BY_NAME


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerFacts:
    """What does not change while a server lives, beside what its engine tells."""

    tokenizer_fingerprint: str
    chat_template_digest: str
    max_samples_per_call: int
    max_waiting_samples: int
    max_message_bytes: int


def info_message(
    engine: Engine, facts: ServerFacts, *, draining: bool
) -> rollout_pb2.GetInfoResponse:
    """The reply."""
    info, load = engine.info, engine.load
    state = rollout_pb2.SERVER_STATE_SERVING
    if load.updating:
        state = rollout_pb2.SERVER_STATE_UPDATING
    if draining:
        state = rollout_pb2.SERVER_STATE_DRAINING
    return rollout_pb2.GetInfoResponse(
        server=f"trimtab {trimtab.__version__}",
        model=info.model,
        tokenizer_fingerprint=facts.tokenizer_fingerprint,
        chat_template_digest=facts.chat_template_digest,
        vocabulary_size=info.vocabulary_size,
        context_length=info.context_length,
        max_samples_per_call=facts.max_samples_per_call,
        max_message_bytes=facts.max_message_bytes,
        engine=info.engine,
        engine_version=info.engine_version,
        capabilities=_capabilities(),
        serving_dtype=WIRE_BY_NAME[info.serving_dtype],
        weights=weights_message(engine.weights),
        state=state,
        running_count=load.running_count,
        waiting_count=load.waiting_count,
        max_waiting_count=facts.max_waiting_samples,
        device=info.device,
    )


def _capabilities() -> rollout_pb2.EngineCapabilities:
    return rollout_pb2.EngineCapabilities(
        entropy_kind=sampling_pb2.ENTROPY_KIND_EXACT,
        update_kinds=[weights_pb2.WEIGHTS_KIND_FULL],
        in_flight_modes=[rollout_pb2.IN_FLIGHT_MODE_WAIT, rollout_pb2.IN_FLIGHT_MODE_ABORT],
        score_tokens=False,
        pause=False,
        sleep=False,
        prompt_hidden_state=True,
        live_digest=True,
    )

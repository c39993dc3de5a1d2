"""Puts the rollout service together."""

from __future__ import annotations

import os

from rollout_server.info import ServerFacts
from rollout_server.prompts import PromptEncoder
from rollout_server.service import RolloutService
from rollout_server.weights import WeightsDesk
from trimtab.config.rollout import RolloutServerConfig
from trimtab.fingerprint import chat_template_digest, tokenizer_fingerprint
from trimtab.rollout.v1 import rollout_pb2, rollout_pb2_grpc
from trimtab.server.runtime import ServiceSpec
from trimtab.server.torch_threads import let_waiting_threads_rest


def build(config: RolloutServerConfig) -> ServiceSpec:
    """Loads the model and gives the service; nothing listens before the model is there.

    Raises:
        ConfigError: the model cannot be loaded.
    """
    if not config.model.allow_hub:
        os.environ["HF_HUB_OFFLINE"] = "1"
    let_waiting_threads_rest()
    # What was set above counts only if it is set before these are imported.
    from rollout_server.transformers_engine.engine import TransformersEngine
    from rollout_server.transformers_engine.loading import load_model

    loaded = load_model(config)
    engine = TransformersEngine(
        loaded,
        max_batch_size=config.transformers.max_batch_size,
        max_waiting_samples=config.max_waiting_samples,
    )
    service = RolloutService(
        engine,
        PromptEncoder(loaded.tokenizer, vocabulary_size=loaded.vocabulary_size),
        WeightsDesk(engine, timeout_s=config.update_timeout_s, roots=config.weights_roots),
        ServerFacts(
            tokenizer_fingerprint=tokenizer_fingerprint(loaded.tokenizer),
            chat_template_digest=chat_template_digest(loaded.tokenizer),
            max_samples_per_call=min(config.max_samples_per_call, config.max_waiting_samples),
            max_waiting_samples=config.max_waiting_samples,
            max_message_bytes=config.max_message_bytes,
        ),
    )

    async def start() -> None:
        engine.start()

    async def drain() -> None:
        service.drain()

    return ServiceSpec(
        name="rollout",
        full_name=rollout_pb2.DESCRIPTOR.services_by_name["RolloutService"].full_name,
        add=lambda server: rollout_pb2_grpc.add_RolloutServiceServicer_to_server(service, server),
        start=start,
        drain=drain,
        close=engine.close,
        failed=engine.failed,
    )

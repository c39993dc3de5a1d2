"""What the service asks of an engine, in terms that know neither gRPC nor torch."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import numpy as np
import numpy.typing as npt

from trimtab.errors import ServiceError
from trimtab.weights.transfer import TensorBytes


@dataclass(frozen=True, slots=True)
class WeightsRef:
    """One state of the weights."""

    lineage: str
    """Random id of an unbroken line of training; empty: what the server was started with."""
    version: int
    """Rises by one with each training step."""
    digest: str
    """Lowercase hex SHA-256, as `trimtab.weights.digest.weights_digest` gives it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How the tokens of a sample are drawn. Every value has been checked."""

    temperature: float = 1.0
    """Divides the logits; 0 is greedy."""
    top_p: float = 1.0
    """Mass of the likeliest tokens that are kept, in (0, 1]."""
    top_k: int = 0
    """How many likeliest tokens are kept; 0: all."""
    min_p: float = 0.0
    """Least probability that is kept, as a share of the likeliest token's."""
    typical_p: float = 1.0
    """Mass of the most typical tokens that are kept, in (0, 1] (arXiv 2202.00666)."""
    max_tokens: int = 1
    """Most tokens that are generated; prompt and sample fit into the context."""
    min_tokens: int = 0
    """End and stop tokens cannot be drawn before this many tokens."""
    stop: tuple[str, ...] = ()
    """Generation ends when the text contains one of these."""
    stop_token_ids: tuple[int, ...] = ()
    """Generation ends when one of these is drawn, besides the model's end tokens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Want:
    """What a sample shall carry."""

    logprobs: bool = True
    model_logprobs: bool = False
    entropies: bool = True
    kept_set_sizes: bool = False
    prompt_hidden_state: bool = False
    progress: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptTask:
    """A checked prompt and the samples to draw of it."""

    prompt_id: str
    token_ids: tuple[int, ...]
    sampling: Sampling
    sample_indices: tuple[int, ...]
    seeds: tuple[int, ...]
    """Unsigned 64-bit seed of each sample, in the order of `sample_indices`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerateTask:
    """The samples of one call."""

    prompts: Sequence[PromptTask]
    want: Want = Want()
    priority: int = 0
    """Higher goes first."""

    @property
    def sample_count(self) -> int:
        """Samples that the task asks for."""
        return sum(len(prompt.sample_indices) for prompt in self.prompts)


class Finish(StrEnum):
    """Why a sample ended."""

    EOS = "EOS"
    STOP = "STOP"
    LENGTH = "LENGTH"
    ABORTED = "ABORTED"


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishedSample:
    """A sample that has ended. Per-token fields are as long as `token_ids`, or None."""

    prompt: PromptTask
    sample_index: int
    token_ids: Sequence[int]
    text: str
    finish: Finish
    weights: WeightsRef
    logprobs: Sequence[float] | None
    """Of the distribution that was drawn from, in nats."""
    model_logprobs: Sequence[float] | None
    """Of softmax(logits / temperature), in nats."""
    entropies: Sequence[float] | None
    """Of softmax(logits / temperature), in nats."""
    kept_set_sizes: Sequence[int] | None
    prompt_hidden_state: npt.NDArray[np.float32] | None
    """Last layer's state at the last prompt token, shape [hidden]."""
    waiting_s: float
    generating_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedSample:
    """A sample that cannot be served."""

    prompt_id: str
    sample_index: int
    error: ServiceError


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgressCount:
    """How far a task has come."""

    finished_count: int
    total_count: int
    generated_token_count: int


Event = FinishedSample | FailedSample | ProgressCount


class InFlight(StrEnum):
    """What happens to running samples when the weights change."""

    WAIT = "WAIT"
    """They end with the old weights; new ones wait."""
    ABORT = "ABORT"
    """They end at once as ABORTED with what they have."""


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """A tensor of the live weights."""

    dtype: str
    """Element type by name, as "bfloat16"."""
    shape: tuple[int, ...]
    """Extent of each dimension."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchanged:
    """Evidence of an exchange of weights, read back from the live engine."""

    live_digest: str
    probe_token_ids: tuple[int, ...]
    probe_logprob: float
    """Summed log-probability of the probe's tokens after its first, in nats."""
    waiting_s: float
    applying_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineInfo:
    """What does not change while an engine lives."""

    engine: str
    engine_version: str
    model: str
    device: str
    serving_dtype: str
    """Element type of the weights by name."""
    vocabulary_size: int
    """Number of logits."""
    context_length: int
    """Most tokens of a prompt and its sample together."""
    end_token_ids: tuple[int, ...]
    """The model's own end tokens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """How busy an engine is."""

    running_count: int
    waiting_count: int
    updating: bool


class Generation(Protocol):
    """A task under way."""

    def events(self) -> AsyncIterator[Event]:
        """Each event the moment it is known; ends after the last sample.

        Raises:
            ServiceError: ENGINE_DEAD.
        """
        ...

    def cancel(self) -> None:
        """Gives up what has not finished. Fine after the end."""
        ...


class Engine(Protocol):
    """Generates samples from one model. Its methods are called from the event loop."""

    failed: asyncio.Future[str]
    """Completes with a reason when the engine has died."""

    @property
    def info(self) -> EngineInfo:
        """What does not change."""
        ...

    @property
    def weights(self) -> WeightsRef:
        """The live weights."""
        ...

    @property
    def load(self) -> Load:
        """How busy it is."""
        ...

    @property
    def tensors(self) -> Mapping[str, TensorSpec]:
        """The live weights by Hugging Face name, tied ones once."""
        ...

    @property
    def tied_names(self) -> frozenset[str]:
        """Names that share the memory of a tensor in `tensors`."""
        ...

    def generate(self, task: GenerateTask) -> Generation:
        """Queues the task.

        Raises:
            ServiceError: OVERLOADED or ENGINE_DEAD.
        """
        ...

    def exchange(
        self, tensors: Sequence[TensorBytes], weights: WeightsRef, in_flight: InFlight
    ) -> Future[Exchanged]:
        """Replaces all weights at once, when no sample is running.

        `tensors` match `self.tensors`. Until the exchange begins the future can be cancelled;
        then nothing has changed.
        """
        ...

    async def close(self) -> None:
        """Ends the engine and frees everything."""
        ...

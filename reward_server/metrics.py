"""What a reward server counts; `docs/reward.md` says what each metric means."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from prometheus_client import Counter, Gauge, Histogram

from reward_server.results import Result
from reward_server.verifiers.base import Item, Outcome

_ITEMS = Counter("trimtab_reward_items", "Results given.", ["verifier", "outcome"])
_CACHED = Counter("trimtab_reward_cached", "Results from verdicts found before.", ["verifier"])
_ITEM_SECONDS = Histogram(
    "trimtab_reward_item_seconds",
    "Seconds that workers spent on a question.",
    ["verifier"],
    buckets=(0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100),
)
_WORKER_ENDS = Counter("trimtab_reward_worker_ends", "Workers that have ended.", ["reason"])
_QUARANTINED = Gauge("trimtab_reward_quarantined", "Questions in quarantine.")
_RUNNING = Gauge("trimtab_reward_running", "Items that are being judged.")
_WAITING = Gauge("trimtab_reward_waiting", "Items that wait for a worker.")
_CACHE_ENTRIES = Gauge("trimtab_reward_cache_entries", "Verdicts that are remembered.")
_CACHE_BYTES = Gauge("trimtab_reward_cache_bytes", "Memory that they take, roughly.")
_AUDITS = Counter("trimtab_reward_audits", "Audited items.", ["verifier", "auditor", "finding"])
_DISAGREEMENT = Gauge(
    "trimtab_reward_audit_disagreement_ratio",
    "Share of the audited items on which both have a verdict and not the same.",
    ["verifier", "auditor"],
)


class ResultCounter:
    """Counts results, a batch at a time."""

    def __init__(self, names: Collection[str], default: str) -> None:
        """`names` of what is offered, `default` where an item names none."""
        self._names = {"": default, **{name: name for name in names}}

    def count(self, items: Sequence[Item], results: Sequence[Result]) -> None:
        """Takes in the result of each item."""
        found: dict[tuple[str, Outcome], int] = {}
        cached: dict[str, int] = {}
        for item, result in zip(items, results, strict=True):
            pair = (item.verifier, result.verdict.outcome)
            found[pair] = found.get(pair, 0) + 1
            if result.cached:
                cached[item.verifier] = cached.get(item.verifier, 0) + 1
        for (name, outcome), number in found.items():
            _ITEMS.labels(self._known(name), outcome.value).inc(number)
        for name, number in cached.items():
            _CACHED.labels(self._known(name)).inc(number)

    def _known(self, name: str) -> str:
        # What callers make up must not become labels, which are kept for ever.
        return self._names.get(name, "unknown")


def count_question(verifier: str, elapsed_s: float) -> None:
    """Takes in a question that a worker has answered, or was killed at."""
    _ITEM_SECONDS.labels(verifier).observe(elapsed_s)


def count_worker_end(reason: str) -> None:
    """Takes in a worker that has ended, or is being ended."""
    _WORKER_ENDS.labels(reason).inc()


def count_audit(verifier: str, auditor: str, finding: str) -> None:
    """Takes in an audited item."""
    _AUDITS.labels(verifier, auditor, finding).inc()


def set_disagreement(verifier: str, auditor: str, ratio: float) -> None:
    """Takes in how often the two disagree."""
    _DISAGREEMENT.labels(verifier, auditor).set(ratio)


def watch(
    *,
    running: Callable[[], float],
    waiting: Callable[[], float],
    quarantined: Callable[[], float],
    cache_entries: Callable[[], float],
    cache_bytes: Callable[[], float],
) -> None:
    """Has these looked up whenever the metrics are read."""
    _RUNNING.set_function(running)
    _WAITING.set_function(waiting)
    _QUARANTINED.set_function(quarantined)
    _CACHE_ENTRIES.set_function(cache_entries)
    _CACHE_BYTES.set_function(cache_bytes)

"""Reward servers that each break the contract in one way, as real ones do."""

from __future__ import annotations

import math
import sys
import threading
import time
from collections.abc import Iterator, Sequence

from google.rpc import code_pb2

from tests.conformance.honest import Context, Honest, Item, Result, refuse, serve
from trimtab.common.v1.outcome_pb2 import (
    CAUSE_ITEM,
    OUTCOME_INCORRECT,
    OUTCOME_TIMED_OUT,
    OUTCOME_VERIFIER_ERROR,
)
from trimtab.reward.v1 import reward_pb2

FLOOD_ITEMS = 50
"""Calls of this size take their time, so that many are under way at once."""


class Backwards(Honest):
    """Sorts its results the wrong way round."""

    def scored(self, request: reward_pb2.ScoreRequest, context: Context) -> Sequence[Result]:
        return list(super().scored(request, context))[::-1]


class Sorting(Honest):
    """Keeps its results in a map by id."""

    def scored(self, request: reward_pb2.ScoreRequest, context: Context) -> Sequence[Result]:
        return sorted(super().scored(request, context), key=lambda result: result.id)


class Truncating(Honest):
    """Has a limit of its own and does not tell."""

    def scored(self, request: reward_pb2.ScoreRequest, context: Context) -> Sequence[Result]:
        return super().scored(request, context)[:5_000]


class Dropping(Honest):
    """Leaves out the items that fail."""

    def scored(self, request: reward_pb2.ScoreRequest, context: Context) -> Sequence[Result]:
        results = super().scored(request, context)
        return [result for result in results if result.outcome != OUTCOME_VERIFIER_ERROR]


class Dividing(Honest):
    """Divides nought by nought where there is no text."""

    def judge(self, item: Item) -> Result:
        result = super().judge(item)
        if result.HasField("reward") and not item.response:
            result.reward = math.nan
        return result


class Zeroing(Honest):
    """Gives a reward of 0 with TIMED_OUT."""

    def judge(self, item: Item) -> Result:
        if item.HasField("timeout") and item.timeout.ToMilliseconds() < 5:
            return Result(id=item.id, outcome=OUTCOME_TIMED_OUT, cause=CAUSE_ITEM, reward=0.0)
        return super().judge(item)


class Unhurried(Honest):
    """Takes no notice of the call's deadline."""

    seconds_per_hard_item = 0.0005

    def patience_s(self, context: Context) -> float:
        return math.inf


class Guessing(Honest):
    """Has had enough before the deadline, and calls what is left wrong."""

    seconds_per_hard_item = 0.0005

    def late(self, item: Item) -> Result:
        return Result(id=item.id, outcome=OUTCOME_INCORRECT, reward=0.0)


class Mixing(Honest):
    """Keeps the items of the running call in the service object."""

    items: Sequence[Item] = ()

    def scored(self, request: reward_pb2.ScoreRequest, context: Context) -> Sequence[Result]:
        self.items = list(request.items)
        time.sleep(0.005)
        return [self.judge(item) for item in self.items]


class Refusing(Honest):
    """Takes a repeat for a mistake."""

    def __init__(self) -> None:
        super().__init__()
        self.request_ids: set[str] = set()

    def scored(self, request: reward_pb2.ScoreRequest, context: Context) -> Sequence[Result]:
        with self.lock:
            is_known = request.request_id in self.request_ids
            self.request_ids.update(filter(None, [request.request_id]))
        if is_known:
            refuse(context, code_pb2.ALREADY_EXISTS, "SEEN")
        return super().scored(request, context)


class Forgetful(Honest):
    """Knows a repeat by its request_id alone, and does not look at the items."""

    def __init__(self) -> None:
        super().__init__()
        self.recorded: dict[str, Sequence[Result]] = {}

    def scored(self, request: reward_pb2.ScoreRequest, context: Context) -> Sequence[Result]:
        if request.request_id not in self.recorded:
            results = super().scored(request, context)
            if not request.request_id:
                return results
            self.recorded[request.request_id] = results
        return self.recorded[request.request_id]


class Choking(Honest):
    """Hands texts to a library written in C."""

    def scored(self, request: reward_pb2.ScoreRequest, context: Context) -> Sequence[Result]:
        if any("\x00" in item.response for item in request.items):
            refuse(context, code_pb2.INTERNAL, "EMBEDDED_NUL")
        return super().scored(request, context)


class Trimming(Honest):
    """Tidies ids up."""

    def judge(self, item: Item) -> Result:
        result = super().judge(item)
        result.id = item.id.strip()
        return result


class Guileless(Honest):
    """Has one verifier and asks for no names."""

    def judge(self, item: Item) -> Result:
        item.ClearField("verifier")
        return super().judge(item)


class Utf16(Honest):
    """Counts characters as Java and JavaScript do."""

    def judge(self, item: Item) -> Result:
        result = super().judge(item)
        for span in result.spans:
            span.length = len(item.response.encode("utf-16-le")) // 2
        return result


class Wedging(Honest):
    """Loses a lock when many calls come at once, and never answers again."""

    def __init__(self) -> None:
        super().__init__()
        self.is_wedged = threading.Event()

    def overloaded(self, context: Context) -> None:
        self.is_wedged.set()
        super().overloaded(context)

    def scored(self, request: reward_pb2.ScoreRequest, context: Context) -> Sequence[Result]:
        while self.is_wedged.is_set() and context.is_active():
            time.sleep(0.01)
        if len(request.items) == FLOOD_ITEMS:
            self.is_wedged.wait(0.5)
        return super().scored(request, context)


class Hasty(Honest):
    """Stops working on a stream when the caller has sent everything."""

    def ScoreStream(  # noqa: N802 - gRPC's name
        self, request_iterator: Iterator[reward_pb2.ScoreStreamRequest], context: Context
    ) -> Iterator[reward_pb2.ScoreStreamResponse]:
        held: Sequence[Result] = ()
        for response in super().ScoreStream(request_iterator, context):
            if held:
                yield reward_pb2.ScoreStreamResponse(results=held)
            # Items that come alone are answered at once, of several the last ones later.
            keep = 1 if len(response.results) == 1 else len(response.results) // 2
            yield reward_pb2.ScoreStreamResponse(results=response.results[:keep])
            held = response.results[keep:]


class Waiting(Honest):
    """Reads a stream to its end before it answers."""

    def ScoreStream(  # noqa: N802 - gRPC's name
        self, request_iterator: Iterator[reward_pb2.ScoreStreamRequest], context: Context
    ) -> Iterator[reward_pb2.ScoreStreamResponse]:
        yield from list(super().ScoreStream(request_iterator, context))


BROKEN: dict[str, tuple[type[Honest], str]] = {
    kind.__name__.lower(): (kind, check)
    for kind, check in (
        (Backwards, "request-order"),
        (Sorting, "request-order"),
        (Truncating, "most-items"),
        (Dropping, "one-result-per-item"),
        (Dividing, "finite-reward"),
        (Zeroing, "reward-by-outcome"),
        (Unhurried, "deadline"),
        (Guessing, "cut-is-no-zero"),
        (Mixing, "parallel-calls"),
        (Refusing, "repeated-request"),
        (Forgetful, "reused-request-id"),
        (Choking, "odd-text"),
        (Trimming, "odd-ids"),
        (Guileless, "unknown-verifier"),
        (Utf16, "spans-fit"),
        (Wedging, "overload"),
        (Hasty, "stream-complete"),
        (Waiting, "stream-early"),
    )
}
"""Each with the check that finds it out."""

if __name__ == "__main__":
    serve(BROKEN[sys.argv[1]][0]())

"""Comparing what a program claims with what a test expects."""

from __future__ import annotations

import collections
import enum
import json
import math
import time
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
import pytest

from reward_server.programs.comparing import Check, Rules, same_output
from reward_server.programs.values import Unwritable, Writer, read

EXACT = Rules()
LOOSE = Rules(strict_types=False)
NEAR = Rules(float_tolerance=1e-6)


class Colour(enum.IntEnum):
    RED = 1


class Pair(NamedTuple):
    a: int
    b: int


class Agreeable(int):
    """Equal to everything."""

    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = int.__hash__


def written(value: Any) -> Any:
    """As it arrives from the other process."""
    return json.loads(json.dumps(Writer(1 << 20).write(value)))


def meets(expected: Any, value: Any, rules: Rules = EXACT) -> bool:
    return Check(value=expected).accepts(written(value), rules)


VALUES = [
    None, True, False, 0, 1, -3, 1 << 60, -(1 << 200), 0.1, 1e300, math.inf, 1j, "", "a\0é\ud800",
    b"\0x", [], [1, [2, "3"]], (), (1, (2,)), {}, {"a": [1], 2: None, (1, 2): 3}, set(),
    {1, "a", (2, 3)},
]  # fmt: skip


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_a_value_survives_the_way_and_equals_itself(value: Any) -> None:
    assert read(written(value)) == value
    assert type(read(written(value))) is type(value)
    assert meets(value, value)


def test_different_values_are_not_equal() -> None:
    for expected in VALUES:
        for value in VALUES:
            assert meets(expected, value) == (
                type(expected) is type(value) and expected == value
            ) or (expected == value and isinstance(expected, int) and isinstance(value, int))


@pytest.mark.parametrize(
    ("expected", "value"),
    [
        (1, 1.0),
        (1.0, 1),
        (True, 1),
        (0, False),
        (1, np.int64(1)),
        (0.5, np.float32(0.5)),
        (True, np.bool_(True)),
        (1, Colour.RED),
        ({"a": 1}, collections.Counter("a")),
        ({"a": [1]}, collections.defaultdict(list, a=[1])),
        ((1, 2), Pair(1, 2)),
        ({1, 2}, frozenset([2, 1])),
        ({1: 2}, {1.0: 2.0}),
        (b"a", bytearray(b"a")),
        (10**30, 1e30) if int(1e30) == 10**30 else (2**100, 2.0**100),
        (math.nan, math.nan),
        (2, 2 + 0j),
    ],
    ids=repr,
)
def test_equality_is_pythons(expected: Any, value: Any) -> None:
    assert meets(expected, value)


@pytest.mark.parametrize(
    ("expected", "value"),
    [
        (2, Agreeable(1)),
        ([2], [Agreeable(1)]),
        ({2}, {Agreeable(1)}),
        ("1", 1),
        (1, "1"),
        (None, 0),
        (None, False),
        ("", None),
        ([], ()),
        ([], {}),
        (set(), {}),
        ([1, 2], [1]),
        ([1], [1, 2]),
        ({1, 2}, {1}),
        ({1: 2}, {1: 3}),
        ({1: 2}, {1: 2, 3: 4}),
        ({1: 2, 3: 4}, {1: 2}),
        ("a", b"a"),
        (0.3, 0.1 + 0.2),
    ],
    ids=repr,
)
def test_inequality_is_pythons(expected: Any, value: Any) -> None:
    assert not meets(expected, value)


@pytest.mark.parametrize(
    "value",
    [object(), range(3), Fraction(1, 2), iter([1]), np.zeros(2), [len], collections.deque()],
)
def test_other_types_are_not_written(value: Any) -> None:
    with pytest.raises(Unwritable, match="is a "):
        Writer(1000).write(value)


def test_large_and_endless_values_are_not_written() -> None:
    endless: list[Any] = []
    endless.append(endless)
    for value in ("x" * 2000, [0] * 2000, 1 << 20_000, endless):
        with pytest.raises(Unwritable, match=r"larger|deeper"):
            Writer(1000).write(value)


def test_lists_and_tuples_can_be_alike() -> None:
    assert meets((1, [2]), [1, (2,)], LOOSE)
    assert not meets((1, [2]), [1, (2,)])
    assert Check(value=[1, [2]], from_json=True).accepts(written((1, (2,))), EXACT)


def test_json_has_only_texts_as_keys() -> None:
    assert Check(value={"1": 2}, from_json=True).accepts(written({1: 2}), EXACT)
    assert not meets({"1": 2}, {1: 2})


def test_a_list_of_one_can_stand_for_its_element() -> None:
    check = Check(value=[[1, 2]], from_json=True, or_element=True)
    assert check.accepts(written([1, 2]), EXACT)
    assert check.accepts(written([[1, 2]]), EXACT)
    assert not check.accepts(written([1]), EXACT)


@pytest.mark.parametrize(
    ("expected", "value", "is_near"),
    [
        (0.3, 0.1 + 0.2, True),
        ([1e9], [1e9 + 1], True),
        (1.0, 1.1, False),
        (1, 1.0000001, True),
        (1000000, 1000001, False),
        (math.inf, 1e308, False),
        (0.0, math.nan, False),
        (0.5, 10**400, False),
        (10**400, 0.5, False),
    ],
)
def test_floats_may_differ_within_the_tolerance(expected: Any, value: Any, is_near: bool) -> None:
    assert meets(expected, value, NEAR) is is_near


@pytest.mark.parametrize(
    ("check", "value", "accepted"),
    [
        (Check(kind="is", value=None), None, True),
        (Check(kind="is", value=None), 0, False),
        (Check(kind="is", value=True), True, True),
        (Check(kind="is", value=True), 1, False),
        (Check(kind="true"), [0], True),
        (Check(kind="true"), 1 << 99, True),
        (Check(kind="true"), [], False),
        (Check(kind="true"), b"", False),
        (Check(kind="true"), 0j, False),
        (Check(kind="false"), {}, True),
        (Check(kind="false"), "x", False),
        (Check(kind="close", value=1, absolute=0.5), 1.5, True),
        (Check(kind="close", value=1, absolute=0.5, inclusive=False), 1.5, False),
        (Check(kind="close", value=1, absolute=0.5), "1", False),
        (Check(kind="close", value=1.0, absolute=0.5), math.nan, False),
        (Check(kind="close", value=1.0, absolute=0.5), 10**400, False),
        (Check(kind="close", value=100.0, relative=0.1), 95, True),
    ],
)
def test_other_checks(check: Check, value: Any, accepted: bool) -> None:
    assert check.accepts(written(value), EXACT) is accepted


@pytest.mark.parametrize(
    "claim",
    [
        {"a": 1}, [], [[]], ["l", ["l"]], ["?", 1], ["i", "zz"], ["i", 3], ["b", "x"], ["b"],
        ["c", 1], ["d", 1], ["d", [1]], ["d", [["l"], 1]], ["s", ["l", 1]], ["s", ["s"]], ["s", {}],
        ["t", ["t", ["i", "-0xg"]]], [None], [["l", 1], 1],
    ],
)  # fmt: skip
def test_forged_claims_are_only_wrong(claim: Any) -> None:
    for expected in (*VALUES, [1, 2], {1: 1}, {(1,)}, {1}, (1,)):
        assert not Check(value=expected).accepts(claim, EXACT)


def test_claims_made_to_collide_are_no_trouble() -> None:
    modulus = (1 << 61) - 1  # all these hash alike
    claim = written([index * modulus for index in range(50_000)])
    began_s = time.process_time()
    assert not Check(value=set(range(50_000))).accepts(["s", *claim[1:]], EXACT)
    assert not Check(value=dict.fromkeys(range(50_000), 1)).accepts(
        ["d", *([key, 1] for key in claim[1:])], EXACT
    )
    assert time.process_time() - began_s < 5  # quadratic work takes minutes


@pytest.mark.parametrize(
    ("expected", "claimed"),
    [
        ("1\n2\n", "1\n2"),
        ("1\n2", "1 \r\n2\r\n\n\n"),
        ("", "\n \n"),
        ("a  b", " a b "),
        ("\n1", "1"),
    ],
)
def test_blanks_at_the_ends_count_for_nothing(expected: str, claimed: str) -> None:
    assert same_output(expected, claimed, None) == ""


@pytest.mark.parametrize(
    ("expected", "claimed", "words"),
    [
        ("1\n2", "1", "ends before line 2, '2'"),
        ("1", "1\n2", "goes on after line 1: '2'"),
        ("1\n2", "1 2", "line 1 is '1 2', not '1'"),
        ("1\n\n2", "1\n2", "line 2 is '2', not ''"),
        ("Yes", "yes", "line 1 is 'yes', not 'Yes'"),
        ("1.0", "1.00", "line 1"),
        ("12", "1 2", "line 1"),
        ("", "x", "goes on"),
    ],
)
def test_other_differences_are_told(expected: str, claimed: str, words: str) -> None:
    assert words in same_output(expected, claimed, None)


@pytest.mark.parametrize(
    ("expected", "claimed", "is_same"),
    [
        ("0.333333 x", "0.33333333 x", True),
        ("1e9", "1000000000.5", True),
        ("1", "1.1", False),
        ("1 2", "1", False),
        ("nan", "nan", True),
        ("1", "nan", False),
        ("inf", "1e308", False),
        ("1_0", "10", False),
        ("1", "1" * 1000, False),
    ],
)
def test_floats_in_outputs_may_differ(expected: str, claimed: str, is_same: bool) -> None:
    assert (same_output(expected, claimed, 1e-6) == "") is is_same

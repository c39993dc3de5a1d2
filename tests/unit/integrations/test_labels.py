from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest

from trimtab.integrations.labels import LabelError, metadata_of, references_of


@pytest.mark.parametrize(
    ("label", "references"),
    [
        (None, []),
        ("x+1", ["x+1"]),
        ("", [""]),
        (42, ["42"]),
        (0.5, ["0.5"]),
        (10**400, [str(10**400)]),
        (True, ["true"]),
        (["1", 2, 0.5], ["1", "2", "0.5"]),
        (("a", "b"), ["a", "b"]),
        ([], []),
        ({"ground_truth": "7", "style": "rule"}, ["7"]),
        ({"answer": ["7", "8"]}, ["7", "8"]),
        (np.array(["7", "8"]), ["7", "8"]),
        (np.int64(7), ["7"]),
        (np.array([1, 2]), ["1", "2"]),
    ],
)
def test_right_answers_are_found(label: Any, references: list[str]) -> None:
    assert references_of(label) == references


def test_tests_of_a_program_are_one_reference() -> None:
    tests = {"inputs": ["1\n"], "outputs": np.array(["2\n"]), "fn_name": "f"}
    [reference] = references_of(tests)
    assert json.loads(reference) == {"inputs": ["1\n"], "outputs": ["2\n"], "fn_name": "f"}
    assert metadata_of(tests) == {}


@pytest.mark.parametrize("label", [math.nan, np.float64("nan"), ["7", math.inf]])
def test_what_tables_hold_where_there_is_no_answer_is_refused(label: Any) -> None:
    with pytest.raises(LabelError, match="is no right answer"):
        references_of(label)


def test_metadata_may_not_be_nested_beyond_what_travels() -> None:
    deep: Any = 1
    for _ in range(24):
        deep = {"a": deep}
    assert metadata_of({"answer": "7", "x": deep}) == {"x": deep}
    with pytest.raises(LabelError, match="24 levels deep"):
        metadata_of({"answer": "7", "x": [deep]})


@pytest.mark.parametrize("label", [{}, {"hint": "7"}, [{}], [None], [["7"]], object(), b"7", {7}])
def test_what_holds_no_right_answer_is_refused(label: Any) -> None:
    with pytest.raises(LabelError):
        references_of(label)


def test_the_rest_of_a_mapping_is_metadata() -> None:
    label = {"answer": "7", "level": np.int64(3), "tags": ["a", None], "in": {"b": True}}
    assert metadata_of(label) == {"level": 3, "tags": ["a", None], "in": {"b": True}}
    assert metadata_of("7") == {}
    with pytest.raises(LabelError):
        metadata_of({"answer": "7", "when": object()})

"""How much one item may give to read."""

from __future__ import annotations

import pytest

from reward_server.reference_limits import ReferencesLimit, references_limits
from reward_server.verifiers import build_verifiers
from trimtab.config.reward import RewardServerConfig

LIMIT = ReferencesLimit(max_count=3, max_bytes=8, key="max_references_bytes")


@pytest.mark.parametrize("references", [[], ["12345678"], ["1234", "567", "8"], ["äöüß"]])
def test_what_is_within_the_limits_is_read(references: list[str]) -> None:
    assert LIMIT.excess(references) == ""


@pytest.mark.parametrize(
    ("references", "words"),
    [
        (["1"] * 4, "4 references; at most 3 are read"),
        (["12345678", "9"], "9 bytes; at most 8 are read"),
        (["äöüßä"], "10 bytes"),
    ],
)
def test_more_is_told_in_words(references: list[str], words: str) -> None:
    assert words in LIMIT.excess(references)


def test_programs_have_a_limit_of_their_own_and_shapes_need_none() -> None:
    config = RewardServerConfig.model_validate(
        {
            "verifiers": {
                "math": {"type": "math"},
                "mbpp": {"type": "code", "max_references_bytes": 5000},
                "shape": {"type": "format", "boxed": "required"},
            },
            "max_references_bytes": 100,
        }
    )
    options = {name: model.model_dump() for name, model in config.verifiers.items()}
    limits = references_limits(
        build_verifiers(options), max_count=7, max_bytes=config.max_references_bytes
    )
    assert limits == {
        "math": ReferencesLimit(7, 100, "max_references_bytes"),
        "mbpp": ReferencesLimit(7, 5000, "verifiers.mbpp.max_references_bytes"),
    }

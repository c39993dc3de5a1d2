from __future__ import annotations

import pytest

from trimtab.end_tokens import END_TOKENS
from trimtab.integrations.openrlhf_shape import response_in

LONG = "Let us think about a question that is longer than what the model can take in. "


@pytest.mark.parametrize(
    ("query", "prompt", "response"),
    [
        ("Q: 1+1?A: 2", "Q: 1+1?A: ", "2"),
        ("Q: 1+1?A: ", "Q: 1+1?A: ", ""),
        ("2", "", "2"),
        ("2", "Q: ", "2"),
        ("", "", ""),
        ("2</s>", "", "2"),
        ("2<|im_end|>\n<|endoftext|><|endoftext|>", "", "2"),
        ("</s> 2", "", "</s> 2"),
        ("2 \n", "", "2 \n"),
        (LONG + "A: 2", "dropped " + LONG + "A: ", "2"),
        (LONG + LONG + "A: 2", LONG * 4 + "A: ", "2"),
        (LONG + "B: 2", "dropped " + LONG + "A: ", LONG + "B: 2"),
        ("prompt 2", "another prompt ", "prompt 2"),
    ],
)
def test_the_response_is_what_follows_the_prompt(query: str, prompt: str, response: str) -> None:
    assert response_in(query, prompt, END_TOKENS) == response

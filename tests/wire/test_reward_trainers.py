"""What OpenRLHF and slime post, on a real server: their shapes, and what has no verdict."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.wire.http_reward_server import JSON, HttpServer, running_http_server
from tests.wire.reward_server_process import SYMBOLIC, hanging

WHOLE_TEXT = "verifiers.whole={type: exact}"
GONE = "routes.gone={target: '127.0.0.1:1', patience_s: 0}"


@pytest.fixture(scope="module")
def server() -> Iterator[HttpServer]:
    settings = (
        "verifiers.math={type: math}",
        "verifiers.numeric={type: numeric}",
        WHOLE_TEXT,
        GONE,
    )
    with running_http_server(*settings) as running:
        yield running


def openrlhf(server: HttpServer, suffix: str = "", /, **body: Any) -> dict[str, Any]:
    reply = server.call(f"/get_reward{suffix}", body)
    assert reply.status == 200, reply
    answer: dict[str, Any] = reply.body
    assert set(answer) == {"rewards", "scores", "extra_logs"}
    return answer


def slime(server: HttpServer, suffix: str = "", /, **body: Any) -> Any:
    reply = server.call(f"/slime{suffix}", body)
    assert reply.status == 200, reply
    return reply.body


def test_openrlhf_gets_a_number_a_query(server: HttpServer) -> None:
    prompt = "<|im_start|>user\nWhat is 6*7?<|im_end|>\n<|im_start|>assistant\n"
    responses = [r"\boxed{42}<|im_end|>", r"\boxed{41}", "no idea", SYMBOLIC + "<|im_end|>\n"]
    answer = openrlhf(
        server,
        query=[prompt + response for response in responses],
        prompts=[prompt] * 4,
        labels=["42", "42", "42", "x+1"],
    )
    assert answer == {
        "rewards": [1.0, 0.0, 0.0, 1.0],
        "scores": [1.0, 0.0, 0.0, 1.0],
        "extra_logs": {"invalid": [0.0] * 4, "no_answer": [0.0, 0.0, 1.0, 0.0]},
    }


def test_openrlhf_sends_one_sample_to_one_url_and_nothing_to_the_others(
    server: HttpServer,
) -> None:
    one = openrlhf(server, query=["1+1=2"], prompts=["1+1="], labels=["2"])
    none = openrlhf(server, query=[], prompts=[], labels=[])
    assert (one["rewards"], none["rewards"], none["scores"]) == ([1.0], [], [])
    assert set(one["extra_logs"]) == set(none["extra_logs"])
    assert set(map(len, none["extra_logs"].values())) == {0}


@pytest.mark.parametrize(
    ("query", "prompt"),
    [
        ("Q: A: yes", "Q: A: "),
        ("Q: A: yes</s>", "Q: A: "),
        ("Q: A: yes<|im_end|>\n<|endoftext|>", "Q: A: "),
        ("yes", ""),
        ("the end of a question that was too long for the model. A: yes",
         "cut: the beginning and the end of a question that was too long for the model. A: "),
    ],
)  # fmt: skip
def test_only_the_response_is_judged(server: HttpServer, query: str, prompt: str) -> None:
    body = {"query": [query], "prompts": [prompt], "labels": ["yes"]}
    reply = server.call("/get_reward?verifier=whole", body)
    assert reply.body["rewards"] == [1.0], reply


def test_a_query_without_its_prompt_is_judged_whole(server: HttpServer) -> None:
    body = {"query": ["so yes"], "prompts": ["another prompt"], "labels": ["so yes"]}
    assert server.call("/get_reward?verifier=whole", body).body["rewards"] == [1.0]


def test_an_old_openrlhf_sends_queries_alone(server: HttpServer) -> None:
    reply = server.call("/get_reward", {"query": ["1+1=2"]})
    assert (reply.status, reply.body["field"]) == (400, "labels[0]")
    assert server.call("/get_reward", {"query": []}).body["rewards"] == []


@pytest.mark.parametrize(
    "label", ["7", 7, 7.0, ["8", "7"], [8, 7], {"answer": 7}, {"ground_truth": ["7"], "level": 3}]
)
def test_a_label_may_be_of_many_kinds(server: HttpServer, label: Any) -> None:
    assert openrlhf(server, query=["so 7"], labels=[label])["rewards"] == [1.0]
    assert slime(server, prompt="p", response="so 7", label=label) == 1.0


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "query"),
        ({"query": "text"}, "query"),
        ({"query": [7]}, "query[0]"),
        ({"query": ["a", "b"], "prompts": ["a"], "labels": ["1", "2"]}, "prompts"),
        ({"query": ["a", "b"], "labels": ["1"]}, "labels"),
        ({"query": ["a", "b"], "labels": ["1", {}]}, "labels[1]"),
        ({"query": ["a"], "labels": [[{}]]}, "labels[0]"),
        ({"query": ["a"], "labels": [None]}, "labels[0]"),
        ({"query": ["a"], "labels": "1"}, "labels"),
    ],
)
def test_openrlhf_lists_that_do_not_fit_are_refused(
    server: HttpServer, body: Any, field: str
) -> None:
    reply = server.call("/get_reward", body)
    assert (reply.status, reply.body["reason"], reply.body["field"]) == (
        400, "INVALID_FIELD", field,
    )  # fmt: skip


@pytest.mark.parametrize("path", ["/", "/slime"])
def test_slime_gets_a_bare_number(server: HttpServer, path: str) -> None:
    for response, reward in ((r"\boxed{42}", 1.0), (r"\boxed{41}", 0.0)):
        body = {
            "prompt": [{"role": "user", "content": "6*7?"}],
            "response": response,
            "label": "42",
        }
        reply = server.call(path, body)
        assert (reply.status, reply.body) == (200, reward)


def test_slime_gets_a_dict_by_key(server: HttpServer) -> None:
    answer = slime(server, "?key=score&verifier=numeric", prompt="", response="so 7", label="7")
    assert answer == {"score": 1.0, "outcome": "correct", "answer": "7", "invalid": False}
    reply = server.call("/slime?key=outcome", {"response": "7", "label": "7"})
    assert (reply.status, reply.body["field"]) == (400, "key")


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/slime", {"label": "7"}, "response"),
        ("/slime", {"response": ["7"], "label": "7"}, "response"),
        ("/slime", {"response": "7", "label": {"hint": 7}}, "label"),
        ("/slime", {"response": "7"}, "label"),
        ("/slime?verifier=nobody", {"response": "7", "label": "7"}, "verifier"),
        ("/get_reward?verifier=nobody", {"query": []}, "verifier"),
    ],
)
def test_what_slime_cannot_mean_is_refused(
    server: HttpServer, path: str, body: Any, field: str
) -> None:
    reply = server.call(path, body)
    assert (reply.status, reply.body["field"]) == (400, field)
    assert reply.body["message"]


@pytest.mark.parametrize("depth", [25, 100, 500, 900, 5000])
def test_labels_nested_too_deeply_are_refused(server: HttpServer, depth: int) -> None:
    deep = '{"a":' * depth + "1" + "}" * depth
    for path, body in (
        ("/slime", f'{{"response": "7", "label": {{"answer": 7, "x": {deep}}}}}'),
        ("/get_reward", f'{{"query": ["7"], "labels": [{{"answer": 7, "x": {deep}}}]}}'),
    ):
        reply = server.call(path, body)
        assert (reply.status, reply.body["reason"]) == (400, "INVALID_FIELD")
        assert "deep" in reply.body["message"]


def test_a_label_within_the_depth_travels(server: HttpServer) -> None:
    deep = '{"a":' * 24 + "1" + "}" * 24
    body = f'{{"response": "so 7", "label": {{"answer": 7, "x": {deep}}}}}'
    assert server.call("/slime", body).body == 1.0


def test_a_response_that_hangs_is_a_marked_zero(server: HttpServer) -> None:
    answer = openrlhf(server, query=[hanging("a").response, "so 42"], labels=["42", "42"])
    assert answer["rewards"] == [0.0, 1.0]
    assert answer["extra_logs"]["invalid"] == [1.0, 0.0]
    judged = slime(server, "?key=score", response=hanging("a").response, label="42")
    assert (judged["score"], judged["outcome"], judged["invalid"]) == (0.0, "timed_out", True)


def test_a_broken_machinery_is_never_a_zero(server: HttpServer) -> None:
    for path, body in (
        ("/get_reward?verifier=gone", {"query": ["7"], "labels": ["7"]}),
        ("/slime?verifier=gone", {"response": "7", "label": "7"}),
    ):
        reply = server.call(path, body)
        assert (reply.status, reply.body["reason"]) == (503, "NO_VERDICT")
        assert "unavailable" in reply.body["message"]
        assert {name.lower() for name in reply.headers} >= {"retry-after"}


def test_a_cut_by_the_deadline_is_never_a_zero() -> None:
    with running_http_server("item_deadline_s=600") as patient:
        body = {"response": hanging("a").response, "label": "42"}
        reply = patient.call("/slime", body, headers={**JSON, "Connect-Timeout-Ms": "300"})
    assert (reply.status, reply.body["reason"]) == (503, "NO_VERDICT")


def test_what_has_no_verdict_may_be_null() -> None:
    null = ("http.on_item_failure='null'", "http.on_machinery_failure='null'", "http.verifier=gone")
    with running_http_server(GONE, *null) as running:
        assert slime(running, response="7", label="7") is None
        answer = openrlhf(
            running, "?verifier=math", query=[hanging("a").response, "7"], labels=["7", "7"]
        )
    assert (answer["rewards"], answer["scores"]) == ([None, 1.0], [None, 1.0])
    assert answer["extra_logs"]["invalid"] == [1.0, 0.0]


def test_a_hanging_response_may_be_an_error() -> None:
    with running_http_server("http.on_item_failure=error") as running:
        reply = running.call("/slime", {"response": hanging("a").response, "label": "42"})
    assert (reply.status, reply.body["reason"]) == (503, "NO_VERDICT")

"""Conversations, on a model with a chat template and a limited context."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from google.protobuf import struct_pb2

from tests.wire.rollout_server_process import RolloutServer, running_rollout_server
from trimtab.common.v1 import message_pb2
from trimtab.rollout.v1 import rollout_pb2

Message = message_pb2.Message
TEMPLATE = (
    "{% if refuse %}{{ raise_exception('no such thing') }}{% endif %}"
    "{% for tool in tools or [] %}({{ tool.count }}){% endfor %}"
    "{% for m in messages %}{{ m.content }}"
    "{% for call in m.tool_calls or [] %}{{ call.function.arguments.x }}{% endfor %}{% endfor %}"
    "{% if add_generation_prompt %}={% endif %}"
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RolloutServer]:
    folder = tmp_path_factory.mktemp("model") / "chatty"
    shutil.copytree(Path(rollout_pb2.__file__).parents[2] / "assets" / "tiny", folder)
    (folder / "chat_template.jinja").write_text(TEMPLATE)
    with running_rollout_server(f"model.path={folder}", "context_length=16") as running:
        yield running


def chat(*messages: Message, tools: int = 0, **template_kwargs: str | bool) -> rollout_pb2.Prompt:
    given = rollout_pb2.Chat(messages=messages)
    if template_kwargs:
        given.template_kwargs.update(template_kwargs)
    for count in range(tools):
        tool = struct_pb2.Struct()
        tool.update({"count": count})
        given.tools.append(tool)
    return rollout_pb2.Prompt(id="chat", chat=given)


def test_a_conversation_is_rendered_for_the_reply(server: RolloutServer) -> None:
    call = message_pb2.ToolCall(name="add", arguments_json='{"x": 7}')
    conversation = chat(
        Message(role="user", content="1+"),
        Message(role="assistant", content="2", tool_calls=[call]),
        tools=2,
    )
    text = rollout_pb2.Prompt(id="text", text="(0)(1)1+27=")
    samples = server.samples(rollout_pb2.GenerateRequest(prompts=[conversation, text]))
    assert samples["chat", 0].prompt_token_ids == samples["text", 0].prompt_token_ids


@pytest.mark.parametrize(
    ("prompt", "hint"),
    [
        (chat(), "at least one message"),
        (chat(Message(role="user", content="1"), refuse=True), "no such thing"),
        (chat(Message(role="user", content="1"), chat_template="x"), "'chat_template'"),
        (
            chat(
                Message(
                    role="assistant",
                    tool_calls=[message_pb2.ToolCall(name="f", arguments_json="{")],
                )
            ),
            "not JSON",
        ),
    ],
)
def test_a_conversation_that_cannot_be_rendered_fails_alone(
    server: RolloutServer, prompt: rollout_pb2.Prompt, hint: str
) -> None:
    error = server.error(prompt)
    assert error.reason == "INVALID_FIELD"
    assert hint in error.detail


def test_the_configured_context_is_the_limit(server: RolloutServer) -> None:
    assert server.info().context_length == 16
    assert server.error(rollout_pb2.Prompt(id="long", text="1" * 16)).reason == "PROMPT_TOO_LONG"
    sample = server.one("1" * 12)
    assert len(sample.token_ids) <= 4


def test_the_digest_of_the_template_is_told(server: RolloutServer) -> None:
    expected = hashlib.sha256(TEMPLATE.encode()).hexdigest()
    assert server.info().chat_template_digest == expected

"""JSON over HTTP beside gRPC, on a real server: the contract's own calls and the common rules."""

from __future__ import annotations

import contextlib
import http.client
import json
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format

from tests.wire.http_reward_server import INFO, JSON, SCORE, HttpServer, running_http_server
from tests.wire.reward_server_process import SYMBOLIC, TIMEOUT_S, algebra, eventually, hanging, item
from trimtab.reward.v1 import reward_pb2

MIB = 1 << 20


@pytest.fixture(scope="module")
def server() -> Iterator[HttpServer]:
    with running_http_server() as running:
        yield running


@pytest.fixture(scope="module")
def patient() -> Iterator[HttpServer]:
    """A server whose items may take for ever, with a short queue."""
    settings = ("item_deadline_s=600", "max_waiting_items=8", "workers=1")
    with running_http_server(*settings) as running:
        yield running


def as_json(*items: reward_pb2.ScoreItem) -> list[dict[str, Any]]:
    return [json_format.MessageToDict(item) for item in items]


def scored(server: HttpServer, *items: dict[str, Any]) -> list[dict[str, Any]]:
    reply = server.call(SCORE, {"items": items})
    assert reply.status == 200, reply
    results: list[dict[str, Any]] = reply.body.get("results", [])
    return results


def test_a_batch_is_scored_as_over_grpc(server: HttpServer) -> None:
    items = [
        item("right", r"\boxed{42}", "42"),
        item("wrong", r"\boxed{41}", "42"),
        hanging("hangs"),
        item("silent", "no idea", "42"),
        algebra("algebra"),
    ]
    results = scored(server, *as_json(*items))
    by_grpc = server.grpc.score(*items[:2], *items[3:])
    assert [result["id"] for result in results] == [item.id for item in items]
    assert [result["outcome"] for result in results] == [
        "OUTCOME_CORRECT", "OUTCOME_INCORRECT", "OUTCOME_TIMED_OUT", "OUTCOME_NO_ANSWER",
        "OUTCOME_CORRECT",
    ]  # fmt: skip
    cut = results.pop(2)
    assert (cut.get("reward"), cut["cause"]) == (None, "CAUSE_ITEM")
    assert [result["reward"] for result in results] == [result.reward for result in by_grpc]
    assert results[3]["verifierVersion"] == by_grpc[3].verifier_version


def test_every_field_of_an_item_can_be_sent(server: HttpServer) -> None:
    [result] = scored(
        server,
        {
            "id": "a", "verifier": "numeric", "prompt": "6*7=", "response": "so 42",
            "references": ["41", "42"], "metadata": {"a": [1, None, {"b": "c"}]},
            "messages": [{"role": "user", "content": "6*7="}], "groupId": "g", "timeout": "0.5s",
            "verifier_version": server.grpc.info().verifiers[1].version,
        },
    )  # fmt: skip
    assert result["outcome"] == "OUTCOME_CORRECT"
    assert result["extractedAnswer"] == "42"


def test_an_empty_batch_gives_an_empty_reply(server: HttpServer) -> None:
    assert server.call(SCORE, {}).body == {}
    assert server.call(SCORE, {"items": []}).body == {}


def test_as_many_items_as_allowed_are_scored(server: HttpServer) -> None:
    results = scored(
        server,
        *({"id": str(n), "response": f"#### {n}", "references": [str(n)]} for n in range(10_000)),
    )
    assert {result["outcome"] for result in results} == {"OUTCOME_CORRECT"}
    assert [result["id"] for result in results] == [str(n) for n in range(10_000)]


@pytest.mark.parametrize("body", [{}, None])
def test_the_server_tells_what_it_offers(server: HttpServer, body: Any) -> None:
    reply = server.call(INFO, body)
    info = server.grpc.info()
    assert reply.status == 200
    assert reply.body["server"] == info.server
    assert [one["name"] for one in reply.body["verifiers"]] == ["math", "numeric"]
    assert reply.body["verifiers"][0]["version"] == info.verifiers[0].version


def test_health_is_told(server: HttpServer) -> None:
    reply = server.call("/healthz", method="GET", headers={})
    assert (reply.status, reply.body) == (200, {"status": "SERVING"})


@pytest.mark.parametrize(
    "text", [r'"\ud800 so \\boxed{7}"', r'"\\boxed{7} \udfff"', r'"\u0000 \\boxed{7}"']
)
def test_odd_unicode_harms_no_neighbour(server: HttpServer, text: str) -> None:
    odd = f'{{"id": "odd", "response": {text}, "references": ["7"]}}'
    plain = '{"id": "plain", "response": "\U0001f600 so 7", "references": ["7"]}'
    reply = server.call(SCORE, f'{{"items": [{odd}, {plain}]}}'.encode())
    assert reply.status == 200
    assert [result["outcome"] for result in reply.body["results"]] == ["OUTCOME_CORRECT"] * 2


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"items": [{"id": "a", "respnse": "7"}]}, "items[0].respnse"),
        ({"itms": []}, "itms"),
        ({"items": [{"id": "a"}, {"id": "b", "messages": [{"rle": "user"}]}]},
         "items[1].messages[0].rle"),
        ({"items": [{"id": "a", "references": "7"}]}, "items[0]"),
        ({"items": [{"id": "a", "timeout": "soon"}]}, "items[0].timeout"),
        ({"items": [{"id": 7}]}, "items.id"),
        ({"items": [None]}, "items[0]"),
        ({"items": [{"response": "7"}]}, "items[0].id"),
        ({"items": [{"id": "a"}, {"id": "a"}]}, "items[1].id"),
        ({"items": [{"id": "a", "timeout": "-1s"}]}, "items[0].timeout"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_by_name(server: HttpServer, body: Any, field: str) -> None:
    reply = server.call(SCORE, body)
    assert (reply.status, reply.body["code"]) == (400, "invalid_argument")
    assert reply.body["reason"] in {"INVALID_FIELD", "DUPLICATE_ID"}
    assert reply.body["field"] == field
    assert reply.body["message"]


@pytest.mark.parametrize(
    "body",
    [
        b"", b"[]", b'"text"', b"{", b'{"items": NaN}', b"\xff\xfe{}", b"[" * 100_000,
        b'{"a":' * 100_000, b'{"items": ' + b"9" * 10_000 + b"}",
        b'{"items": [{"id": "a", "metadata": ' + b'{"a":' * 200 + b"1" + b"}" * 200 + b"}]}",
    ],
)  # fmt: skip
def test_what_is_no_json_object_is_refused(server: HttpServer, body: bytes) -> None:
    reply = server.call(SCORE, body)
    assert (reply.status, reply.body["reason"]) == (400, "INVALID_FIELD")


def test_more_items_than_allowed_are_refused(server: HttpServer) -> None:
    reply = server.call(SCORE, {"items": [{"id": str(n)} for n in range(10_001)]})
    assert (reply.status, reply.body["reason"]) == (400, "TOO_MANY_ITEMS")


@pytest.mark.parametrize("mib", [17, 30])
def test_a_large_body_is_refused(server: HttpServer, mib: int) -> None:
    items = [{"id": "a", "response": "x" * (mib * MIB), "references": ["7"]}]
    reply = server.call(SCORE, {"items": items})
    assert (reply.status, reply.body["reason"]) == (413, "MESSAGE_TOO_LARGE")
    assert "the limit is 16,777,216" in reply.body["message"]


def test_a_huge_body_is_refused_unread(server: HttpServer) -> None:
    headers = {**JSON, "Content-Length": str(65 * MIB)}
    reply = server.call(SCORE, b"{}", headers=headers)
    assert (reply.status, reply.body["reason"]) == (413, "MESSAGE_TOO_LARGE")


@pytest.mark.parametrize(("mib", "most_sent"), [(17, 17), (100, 80)])
def test_a_large_body_of_unknown_length_is_refused(
    server: HttpServer, mib: int, most_sent: int
) -> None:
    host, _, port = server.address.rpartition(":")
    sent = 0
    with socket.create_connection((host, int(port)), timeout=TIMEOUT_S) as connection:
        head = f"POST {SCORE} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        connection.sendall(f"{head}Transfer-Encoding: chunked\r\n\r\n".encode())
        # The server closes the connection before a huge body is sent.
        with contextlib.suppress(ConnectionError):
            while sent < mib:
                connection.sendall(b"100000\r\n" + b" " * MIB + b"\r\n")
                sent += 1
            connection.sendall(b"0\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            assert connection.recv(100).startswith(b"HTTP/1.1 413 ")
    assert sent <= most_sent
    assert server.call(SCORE, {}).status == 200


def test_a_response_of_5_mb_is_an_outcome(server: HttpServer) -> None:
    body = {"response": "x" * (5 * MIB), "label": "7"}
    reply = server.call("/slime?key=score", body)
    assert (reply.status, reply.body["outcome"]) == (200, "resource_exhausted")
    assert (reply.body["score"], reply.body["invalid"]) == (0.0, True)


def test_a_body_below_the_limit_is_taken(server: HttpServer) -> None:
    items = [
        {"id": str(n), "response": "x " * (MIB // 4) + r"\boxed{7}", "references": ["7"]}
        for n in range(30)
    ]
    reply = server.call(SCORE, {"items": items})
    assert reply.status == 200
    assert {result["outcome"] for result in reply.body["results"]} == {"OUTCOME_CORRECT"}


@pytest.mark.parametrize("media_type", ["", "text/plain", "application/x-www-form-urlencoded"])
def test_only_json_is_taken(server: HttpServer, media_type: str) -> None:
    reply = server.call(SCORE, "{}", headers={"Content-Type": media_type})
    assert (reply.status, reply.body["field"]) == (415, "")
    assert "application/json" in reply.body["message"]


def test_json_may_name_its_charset(server: HttpServer) -> None:
    headers = {"Content-Type": "Application/JSON; charset=utf-8"}
    assert server.call(SCORE, "{}", headers=headers).status == 200


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("POST", "/nowhere", 404, "not_found"),
        ("POST", SCORE + "Stream", 404, "not_found"),
        ("GET", SCORE, 405, "unimplemented"),
        ("POST", "/healthz", 405, "unimplemented"),
    ],
)
def test_calls_that_do_not_exist_are_said(
    server: HttpServer, method: str, path: str, status: int, code: str
) -> None:
    reply = server.call(path, method=method)
    assert (reply.status, reply.body["code"]) == (status, code)
    assert SCORE in reply.body["message"]


@pytest.mark.parametrize(
    "header", ["soon", "0", "-1", "1.5", "9" * 11, "\u0663".encode().decode("latin-1")]
)
def test_a_deadline_that_is_none_is_refused(server: HttpServer, header: str) -> None:
    reply = server.call(SCORE, {}, headers={**JSON, "Connect-Timeout-Ms": header})
    assert (reply.status, reply.body["field"]) == (400, "connect-timeout-ms")


def test_a_call_answers_before_its_deadline(patient: HttpServer) -> None:
    items = as_json(hanging("runs"), item("quick", r"\boxed{42}", "42"))
    headers = {**JSON, "Connect-Timeout-Ms": "500"}
    reply = patient.call(SCORE, {"items": items}, headers=headers)
    assert reply.status == 200
    outcomes = [(result["outcome"], result.get("cause")) for result in reply.body["results"]]
    assert outcomes == [("OUTCOME_TIMED_OUT", "CAUSE_MACHINERY"), ("OUTCOME_CORRECT", None)]


def test_a_full_queue_turns_calls_away_with_a_delay(patient: HttpServer) -> None:
    more = as_json(algebra("a"), algebra("b"))
    with hung_up_call(patient, {"items": as_json(*(hanging(str(n)) for n in range(8)))}):
        eventually(lambda: patient.grpc.info().waiting_count == 7)
        reply = patient.call(SCORE, {"items": more})
    eventually(lambda: patient.grpc.info().waiting_count == 0)
    assert (reply.status, reply.body["reason"]) == (429, "OVERLOADED")
    assert reply.body["code"] == "resource_exhausted"
    headers = {name.lower(): value for name, value in reply.headers.items()}
    assert int(headers["retry-after"]) >= 1


def test_a_client_that_hangs_up_frees_its_worker(patient: HttpServer) -> None:
    with hung_up_call(patient, {"items": as_json(*(hanging(str(n)) for n in range(4)))}):
        eventually(lambda: patient.grpc.info().waiting_count == 3)
    eventually(lambda: patient.grpc.info().waiting_count == 0)
    [result] = scored(patient, *as_json(algebra("next")))
    assert result["outcome"] == "OUTCOME_CORRECT"


@contextlib.contextmanager
def hung_up_call(server: HttpServer, body: Any) -> Iterator[None]:
    """A call that is sent, and given up at the end of the block."""
    connection = http.client.HTTPConnection(server.address, timeout=TIMEOUT_S)
    with contextlib.closing(connection):
        connection.request("POST", SCORE, json.dumps(body), JSON)
        yield


def test_a_repeated_request_id_is_computed_once(server: HttpServer) -> None:
    body = {
        "requestId": "once",
        "items": [{"id": "a", "response": SYMBOLIC, "references": ["x+1"]}],
    }
    first, second = server.call(SCORE, body), server.call(SCORE, body)
    assert first.body == second.body
    body["items"][0]["response"] = "other"  # type: ignore[index]
    reply = server.call(SCORE, body)
    assert (reply.status, reply.body["field"]) == (400, "request_id")


def test_calls_of_one_connection_share_it(server: HttpServer) -> None:
    connection = http.client.HTTPConnection(server.address, timeout=TIMEOUT_S)
    with contextlib.closing(connection):
        for _ in range(3):
            connection.request("POST", "/slime", json.dumps({"response": "7", "label": 7}), JSON)
            response = connection.getresponse()
            assert json.loads(response.read()) == 1.0
            assert response.headers["Connection"] != "close"


def test_sigterm_lets_running_calls_end_and_takes_no_more() -> None:
    with running_http_server("item_deadline_s=1", "workers=1") as running:
        connection = http.client.HTTPConnection(running.address, timeout=TIMEOUT_S)
        with contextlib.closing(connection):
            connection.request(
                "POST", "/slime", json.dumps({"response": hanging("a").response, "label": 4}), JSON
            )
            eventually(lambda: running.grpc.info().running_count == 1)
            running.grpc.process.send_signal(signal.SIGTERM)
            response = connection.getresponse()
            assert (response.status, response.read()) == (200, b"0.0")
        assert running.grpc.process.wait(TIMEOUT_S) == 0
        with pytest.raises(ConnectionRefusedError):
            running.call("/slime", {"response": "7", "label": 7})


def test_health_tells_balancers_before_calls_are_refused() -> None:
    with running_http_server("drain_delay_s=3", "workers=1") as running:
        running.grpc.process.send_signal(signal.SIGTERM)
        eventually(lambda: running.call("/healthz", method="GET").status == 503)
        assert running.call("/slime", {"response": "7", "label": 7}).body == 1.0
        assert running.grpc.process.wait(TIMEOUT_S) == 0


def refused_start(*settings: str, program: str = "") -> str:
    """What a server says that does not start."""
    command = (
        [sys.executable, "-c", program] if program else [sys.executable, "-m", "reward_server"]
    )
    for setting in ("listen='127.0.0.1:0'", "workers=1", *settings):
        command += ["--set", setting]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 2, ended
    assert ended.stdout == ""
    lines: list[str] = ended.stderr.splitlines()
    assert lines[-1].startswith("error: ")
    return lines[-1]


def test_a_port_in_use_is_said() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        said = refused_start(f"http.listen='{address}'")
    assert f"http.listen: cannot listen on {address}: the port is in use" in said


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("http.listen='0.0.0.0:0'", "http.listen: 0.0.0.0:0 is not on loopback"),
        ("http.listen=nowhere", "http.listen: 'nowhere' is not HOST:PORT"),
        ("http.compat=[trl]", "http.compat.0"),
        ("http.verifier=nobody", "http.verifier 'nobody'"),
        ("http.deadline_s=0", "http.deadline_s"),
        ("http.on_machinery_failure=zero", "http.on_machinery_failure"),
        ("http.port=1", "http.port: unknown key"),
    ],
)
def test_a_config_that_does_not_hold_is_said(setting: str, words: str) -> None:
    assert words in refused_start(setting)


def test_a_missing_extra_is_said() -> None:
    program = (
        "import runpy, sys; sys.modules['uvicorn'] = None; sys.argv[0] = 'reward_server'; "
        "runpy.run_module('reward_server', run_name='__main__')"
    )
    said = refused_start("http.compat=[slime]", program=program)
    assert "http: needs uvicorn: pip install 'trimtab[reward,http]'" in said


def test_tls_is_that_of_the_server(tmp_path: Path) -> None:
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-keyout", "key.pem", "-out", "cert.pem", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=IP:127.0.0.1"],
        cwd=tmp_path, check=True, capture_output=True,
    )  # fmt: skip
    tls = (f"tls.cert_file={tmp_path}/cert.pem", f"tls.key_file={tmp_path}/key.pem")
    trusting = ssl.create_default_context(cafile=tmp_path / "cert.pem")
    with running_http_server(*tls) as running:
        reply = running.call("/slime", {"response": "7", "label": 7}, tls=trusting)
        assert (reply.status, reply.body) == (200, 1.0)
        with pytest.raises((http.client.HTTPException, ConnectionError)):
            running.call("/slime", {"response": "7", "label": 7})

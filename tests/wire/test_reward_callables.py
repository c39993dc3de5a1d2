"""Functions that trainers call in their own processes, against a real server."""

from __future__ import annotations

import asyncio
import copy
import importlib.util
import json
import multiprocessing
import pickle
import subprocess
import sys
from collections.abc import Iterator
from concurrent import futures
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from tests.services import Service, service
from tests.wire.reward_server_process import hanging
from trimtab.errors import ConfigError, RemoteError
from trimtab.integrations import openrlhf, slime, verl
from trimtab.integrations.environment import shared_caller, verifiers
from trimtab.integrations.policy import NoVerdict
from trimtab.integrations.trl import AsyncTrimtabReward, TrimtabReward

EXAMPLES = Path(__file__).parents[2] / "examples"
NOWHERE = "127.0.0.1:1"


@pytest.fixture(scope="module")
def server() -> Iterator[Service]:
    settings = (
        "workers=2", "verifiers.math={type: math}", "verifiers.numeric={type: numeric}",
        "verifiers.brief={type: length, max_length: 4, margin: 2, unit: tokens}",
    )  # fmt: skip
    with service("reward_server", *settings) as started:
        yield started


@pytest.fixture(autouse=True)
def environment(server: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIMTAB_REWARD", server.target)
    monkeypatch.setenv("TRIMTAB_VERIFIER", "openai/gsm8k=numeric,*=math")
    shared_caller.cache_clear()
    verifiers.cache_clear()


def test_trl_gets_a_number_a_completion(server: Service) -> None:
    reward = TrimtabReward(server.target, references_field="answer")
    rewards = reward(
        prompts=["p"] * 4,
        completions=[r"\boxed{7}", r"\boxed{8}", hanging("a").response, "no idea"],
        answer=["7", 7, "7", ["7", "8"]],
        completion_ids=[[1, 2]] * 4,
        trainer_state=object(),
    )
    assert rewards == [1.0, 0.0, None, 0.0]
    assert reward.__name__ == "trimtab"


def test_trl_without_an_address_asks_the_one_of_the_environment() -> None:
    assert TrimtabReward()([], [], solution=[]) == []
    assert TrimtabReward()(["p"], ["so 7"], solution=["7"]) == [1.0]


def test_trl_may_send_conversations(server: Service) -> None:
    completions = [
        [{"role": "assistant", "content": "so 7"}],
        [
            {"role": "assistant", "content": "so 8", "tool_calls": []},
            {"role": "tool", "content": "so 9"},
            {"role": "assistant", "content": [{"type": "text", "text": "so "},
                                              {"type": "text", "text": "7"}]},
        ],
        [{"role": "assistant", "content": None}],
        [{"role": "tool", "content": "7"}],
    ]  # fmt: skip
    prompts = [[{"role": "user", "content": "3+4?"}]] * 4
    reward = TrimtabReward(server.target, verifier="numeric")
    assert reward(prompts, completions, solution=["7"] * 4) == [1.0, 1.0, 0.0, 0.0]
    assert reward.__name__ == "trimtab_numeric"


def test_trl_sends_lengths_to_verifiers_that_need_no_reference(server: Service) -> None:
    reward = TrimtabReward(server.target, verifier="brief", references_field=None, name="brief")
    rewards = reward(["p"] * 3, ["a"] * 3, completion_ids=[[1] * 2, [1] * 3, [1] * 4])
    assert rewards == [0.0, -0.5, -1.0]
    assert reward.__name__ == "brief"


def test_trl_is_told_of_outcomes(server: Service) -> None:
    metrics: dict[str, float] = {}
    extra: dict[str, list[str]] = {}
    reward = TrimtabReward(server.target, on_item_failure="zero")
    rewards = reward(
        ["p"] * 2, ["so 7", hanging("a").response], solution=["7", "7"],
        log_metric=metrics.__setitem__, log_extra=extra.__setitem__,
    )  # fmt: skip
    assert rewards == [1.0, 0.0]
    assert metrics == {"trimtab/invalid": 0.5}
    assert extra == {"trimtab_outcome": ["correct", "timed_out"]}


def test_a_missing_column_is_said(server: Service) -> None:
    with pytest.raises(ValueError, match=r"references_field 'solution'.*answer"):
        TrimtabReward(server.target)(["p"], ["7"], answer=["7"])
    with pytest.raises(ValueError, match=r"solution\[0\]: a mapping needs one of"):
        TrimtabReward(server.target)(["p"], ["7"], solution=[{}])


@pytest.mark.parametrize("copied", [pickle.dumps, copy.deepcopy])
@pytest.mark.parametrize("kind", [TrimtabReward, AsyncTrimtabReward])
def test_a_used_reward_can_be_copied(server: Service, kind: Any, copied: Any) -> None:
    async def call(reward: Any) -> Any:
        given = reward(["p"], ["so 7"], solution=["7"])
        return await given if asyncio.iscoroutine(given) else given

    reward = kind(server.target, verifier="numeric")
    assert asyncio.run(call(reward)) == [1.0]
    twin = copied(reward)
    twin = pickle.loads(twin) if isinstance(twin, bytes) else twin
    assert asyncio.run(call(twin)) == [1.0]
    assert asyncio.run(call(reward)) == [1.0]
    assert twin.__name__ == "trimtab_numeric"


def test_a_used_reward_works_in_another_process(server: Service) -> None:
    reward = TrimtabReward(server.target)
    assert reward(["p"], ["so 7"], solution=["7"]) == [1.0]
    context = multiprocessing.get_context("spawn")
    with futures.ProcessPoolExecutor(1, mp_context=context) as pool:
        assert pool.submit(reward, ["p"], ["so 7"], solution=["7"]).result(60) == [1.0]


def test_trl_waits_for_a_server_that_comes_back(server: Service) -> None:
    with service("reward_server", "workers=1") as mortal:
        reward = TrimtabReward(mortal.target, patience_s=120)
        assert reward(["p"], ["so 7"], solution=["7"]) == [1.0]
        mortal.kill()
        with futures.ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(reward, ["p"], ["so 8"], solution=["8"])
            mortal.start()
            assert waiting.result(120) == [1.0]


async def test_a_server_out_of_reach_is_an_error_and_no_number() -> None:
    with pytest.raises(RemoteError):
        TrimtabReward(NOWHERE, patience_s=0)(["p"], ["7"], solution=["7"])
    with pytest.raises(RemoteError):
        await AsyncTrimtabReward(NOWHERE, patience_s=0)(["p"], ["7"], solution=["7"])


def loaded(path: Path) -> ModuleType:
    """A module as trainers load it: by its path."""
    spec = importlib.util.spec_from_file_location("custom_module", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_verl_loads_the_file_and_gets_a_dict() -> None:
    compute_score = loaded(EXAMPLES / "verl" / "trimtab_reward.py").compute_score
    judged = compute_score(
        data_source="DigitalLearningGmbH/MATH", solution_str=r"\boxed{1+x}", ground_truth="x+1",
        extra_info={"index": 3}, reward_router_address=None, reward_model_tokenizer=None,
    )  # fmt: skip
    assert judged == {
        "score": 1.0, "acc": 1.0, "pred": "1+x", "outcome": "correct", "invalid": 0.0,
    }  # fmt: skip
    assert compute_score("math", r"\boxed{x}", "x+1")["score"] == 0.0


def test_verl_chooses_the_verifier_by_data_source() -> None:
    # Only `numeric` takes the last number of a text in which a box comes earlier.
    text = r"\boxed{8} or rather 7"
    assert verl.compute_score("openai/gsm8k", text, "7")["score"] == 1.0
    assert verl.compute_score("lighteval/MATH", text, "7")["score"] == 0.0
    assert verl.compute_score("x", text, "7", verifiers={"x": "numeric"})["score"] == 1.0


def test_verl_may_score_a_batch() -> None:
    scores = loaded(EXAMPLES / "verl" / "trimtab_reward.py").compute_score_batch(
        data_sources=["math", "openai/gsm8k", "math"],
        solution_strs=["so 7", "so 7", hanging("a").response],
        ground_truths=["7", 8, "42"],
        extra_infos=[{}, {}, {}],
    )
    assert [score["score"] for score in scores] == [1.0, 0.0, 0.0]
    assert [score["invalid"] for score in scores] == [0.0, 0.0, 1.0]
    assert len({frozenset(score) for score in scores}) == 1
    assert verl.compute_score_batch([], [], []) == []


def test_verl_gets_no_number_where_the_machinery_failed() -> None:
    with pytest.raises(NoVerdict, match="invalid_reference"):
        verl.compute_score("openai/gsm8k", "7", "no number")
    judged = verl.compute_score("openai/gsm8k", "7", "no number", invalid_score=-1.0)
    assert (judged["score"], judged["acc"], judged["invalid"]) == (-1.0, 0.0, 1.0)
    with pytest.raises(ValueError, match="ground_truth of 'math'"):
        verl.compute_score("math", "7", {})


def test_verl_may_call_from_many_threads() -> None:
    with futures.ThreadPoolExecutor(16) as pool:
        calls = [
            pool.submit(verl.compute_score, "openai/gsm8k", f"so {n}", str(n - n % 2))
            for n in range(200)
        ]
        assert [call.result()["score"] for call in calls] == [float(not n % 2) for n in range(200)]


async def test_verl_may_call_inside_a_running_loop() -> None:
    assert verl.compute_score("openai/gsm8k", "so 7", "7")["score"] == 1.0
    judged = await asyncio.gather(
        *(verl.compute_score_async("openai/gsm8k", f"so {n}", "7") for n in range(20)),
        *(asyncio.to_thread(verl.compute_score, "openai/gsm8k", "so 7", "7") for _ in range(20)),
    )
    assert [one["score"] for one in judged] == [float(n == 7) for n in range(20)] + [1.0] * 20


def test_openrlhf_loads_the_file_and_gets_lists() -> None:
    reward_func = loaded(EXAMPLES / "openrlhf" / "trimtab_reward.py").reward_func
    queries = ["Q: \\boxed{6} A: 7</s>", "Q: \\boxed{6} A: 8</s>"]
    answer = reward_func(queries, ["Q: \\boxed{6} A:"] * 2, ["7", "7"])
    assert (answer["rewards"], answer["scores"]) == ([1.0, 0.0], [1.0, 0.0])
    assert answer["extra_logs"]["invalid"] == [0.0, 0.0]
    assert openrlhf.reward_func([], [], [])["rewards"] == []
    with pytest.raises(NoVerdict):
        openrlhf.reward_func(["7"], ["p"], [None])


def sample(response: str, label: Any, **metadata: Any) -> SimpleNamespace:
    """What slime hands over, as far as it is looked at."""
    return SimpleNamespace(prompt="p", response=response, label=label, metadata=metadata)


async def test_slime_awaits_a_number_or_a_list() -> None:
    right, wrong = sample("so 7", "7"), sample("so 8", "7")
    by_number = sample(r"\boxed{8} or rather 7", 7, verifier="numeric")
    assert await slime.reward(SimpleNamespace(), right) == 1.0
    assert await slime.reward(SimpleNamespace(), [right, wrong, by_number], evaluation=False) == [
        1.0, 0.0, 1.0,
    ]  # fmt: skip
    assert await slime.reward(SimpleNamespace(), sample(hanging("a").response, "7")) == 0.0
    with pytest.raises(NoVerdict):
        await slime.reward(SimpleNamespace(), sample("so 7", None))


@pytest.mark.parametrize(
    ("name", "value"),
    [("TRIMTAB_VERIFIER", "a=math,a=numeric"), ("TRIMTAB_VERIFIER", "a="),
     ("TRIMTAB_PATIENCE_S", "long"), ("TRIMTAB_REWARD_CERT", "cert.pem")],
)  # fmt: skip
def test_an_environment_that_does_not_hold_is_said(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match=name):
        verl.compute_score("a", "7", "7")


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate that is its own authority; its key lies beside it."""
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-keyout", "key.pem", "-out", "cert.pem", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=IP:127.0.0.1"],
        cwd=tmp_path, check=True, capture_output=True,
    )  # fmt: skip
    return tmp_path / "cert.pem"


async def test_the_environment_may_name_tls_files(
    certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = certificate.with_name("key.pem")
    files = (f"tls.cert_file={certificate}", f"tls.key_file={key}")
    with service("reward_server", "workers=1", *files) as secured:
        with pytest.raises(RemoteError):
            TrimtabReward(secured.target, patience_s=0)(["p"], ["so 7"], solution=["7"])
        monkeypatch.setenv("TRIMTAB_REWARD_CA", str(certificate))
        sync, waiting = TrimtabReward(secured.target), AsyncTrimtabReward(secured.target)
        assert sync(["p"], ["so 7"], solution=["7"]) == [1.0]
        assert pickle.loads(pickle.dumps(sync))(["p"], ["so 7"], solution=["7"]) == [1.0]
        assert await waiting(["p"], ["so 7"], solution=["7"]) == [1.0]


def test_the_functions_need_the_client_alone() -> None:
    program = (
        "import json, sys; from trimtab.integrations import openrlhf, slime, trl, verl; "
        "print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    )
    listed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert listed.returncode == 0, listed.stderr
    heavy = {"torch", "pydantic", "yaml", "structlog", "tenacity", "starlette", "pyarrow", "trl"}
    assert set(json.loads(listed.stdout)) & heavy == set()

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

from tests.unit.cli.cli_process import (
    free_address,
    group_pids,
    read_until,
    running,
    service_pid,
    trimtab,
)

SMALL = [
    "train.prompts_per_step=4",
    "rollout.samples_per_prompt=4",
    "rollout.sampling.max_tokens=12",
    "evaluation.samples_per_prompt=2",
    "data.eval.heldout.count=8",
    "checkpoint.every=1",
]


SERVICES = ("rollout", "reward", "learner")


def targets() -> list[str]:
    """Options that put the three services on free ports."""
    return [word for service in SERVICES for word in (f"--{service}", free_address())]


def steps(folder: Path) -> list[int]:
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line)["step"] for line in lines]


def test_a_run_on_services_that_serve_already_trains_ends_and_goes_on(tmp_path: Path) -> None:
    places = targets()
    listen = [
        word
        for service, address in zip(SERVICES, places[1::2], strict=True)
        for word in ("--set", f"serve.{service}.listen={address}")
    ]
    with running("up", "--config", "demo", *listen, cwd=tmp_path) as up:
        read_until(up, "all three serve")
        _train_and_resume(tmp_path, ["--name", "first", *places])
        assert up.poll() is None


def _train_and_resume(tmp_path: Path, common: list[str]) -> None:
    ended = trimtab("train", "demo", *SMALL, "train.steps=2", *common, cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    folder = tmp_path / "runs" / "first"
    assert steps(folder) == [1, 2]
    assert "step 1/2" in ended.stdout
    assert "starting" not in ended.stderr
    assert "evaluation of heldout after step 0" in ended.stdout
    assert f"finished after step 2: {folder}" in ended.stdout

    more = trimtab("train", "demo", *SMALL, "train.steps=3", "--resume", *common, cwd=tmp_path)
    assert more.returncode == 0, more.stderr
    assert steps(folder) == [1, 2, 3]
    assert "step 1/" not in more.stdout, "earlier steps are not told again"

    again = trimtab("train", "--resume", "train.steps=4", *common, cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert steps(folder) == [1, 2, 3, 4]

    taken = trimtab("train", "demo", *SMALL, *common, cwd=tmp_path)
    assert taken.returncode == 1
    assert "RUN_EXISTS" in taken.stderr


def test_ctrl_c_ends_after_the_step_with_a_checkpoint(tmp_path: Path) -> None:
    arguments = ["train", "demo", *SMALL, "train.steps=100000", "--name", "long", *targets()]
    with running(*arguments, cwd=tmp_path) as process:
        read_until(process, "step 1/")
        services = [
            service_pid(process.pid, module)
            for module in ("rollout_server", "reward_server", "learner")
        ]
        process.send_signal(signal.SIGINT)
        lines = read_until(process, "trimtab train demo")
        assert process.wait(60) == 0
    last = steps(tmp_path / "runs" / "long")[-1]
    assert (tmp_path / "runs" / "long" / "checkpoints" / f"step-{last:06d}").is_dir()
    assert any(f"last checkpoint: step {last}" in line for line in lines)
    assert not any(group_pids(pid) for pid in services)


def test_a_second_ctrl_c_ends_everything_at_once(tmp_path: Path) -> None:
    arguments = ["train", "demo", *SMALL, "train.steps=100000", "--name", "stuck", *targets()]
    with running(*arguments, cwd=tmp_path) as process:
        read_until(process, "step 1/")
        rollout = service_pid(process.pid, "rollout_server")
        learner = service_pid(process.pid, "learner")
        os.kill(rollout, signal.SIGSTOP)  # the step in progress does not end
        process.send_signal(signal.SIGINT)
        read_until(process, "stopping after the step in progress")
        process.send_signal(signal.SIGINT)
        read_until(process, "ending at once")
        assert process.wait(60) == 130
    assert not group_pids(rollout) | group_pids(learner)


def test_a_killed_rollout_or_reward_server_does_not_end_the_run(tmp_path: Path) -> None:
    arguments = ["train", "demo", *SMALL, "train.steps=12", "--name", "tough", *targets()]
    with running(*arguments, cwd=tmp_path) as process:
        for step, module in ((2, "rollout_server"), (4, "reward_server")):
            read_until(process, f"step {step}/")
            os.kill(service_pid(process.pid, module), signal.SIGKILL)
        read_until(process, "finished after step 12")
        assert process.wait(60) == 0
    assert steps(tmp_path / "runs" / "tough") == list(range(1, 13))


def test_a_killed_learner_ends_the_run_with_the_command_that_resumes_it(tmp_path: Path) -> None:
    arguments = ["train", "demo", *SMALL, "train.steps=100000", "--name", "cut", *targets()]
    with running(*arguments, cwd=tmp_path) as process:
        read_until(process, "step 3/")
        others = [service_pid(process.pid, name) for name in ("rollout_server", "reward_server")]
        os.kill(service_pid(process.pid, "learner"), signal.SIGKILL)
        lines = read_until(process, "--resume --name cut")
        assert process.wait(60) == 1
    said = "".join(lines)
    assert "error: learner: was killed by SIGKILL" in said
    assert f"run folder: {tmp_path / 'runs' / 'cut'}; last checkpoint: step " in said
    assert "Traceback" not in said
    assert not any(group_pids(pid) for pid in others)

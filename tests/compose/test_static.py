"""What can be said about the container files without an engine."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.compose.stack import ROOT, has_compose
from trimtab.config.learner import LearnerServerConfig
from trimtab.config.load import load_server_config
from trimtab.config.reward import RewardServerConfig
from trimtab.config.rollout import RolloutServerConfig
from trimtab.config.server import ServerConfig


def test_hadolint_finds_nothing() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    done = subprocess.run(
        [str(hadolint), "deploy/Dockerfile"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_compose_file_is_valid() -> None:
    if not has_compose():
        pytest.skip("Docker Compose is not installed")
    done = subprocess.run(
        ["docker", "compose", "config", "--quiet"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("service", "model", "port"),
    [
        ("rollout", RolloutServerConfig, 50051),
        ("reward", RewardServerConfig, 50052),
        ("learner", LearnerServerConfig, 50053),
    ],
)
def test_server_configs_hold(service: str, model: type[ServerConfig], port: int) -> None:
    config = load_server_config(model, service, ROOT / "deploy" / "config" / f"{service}.yaml", [])
    assert config.listen == f"0.0.0.0:{port}"
    assert config.insecure


def test_reward_image_needs_no_torch() -> None:
    needs = requirements("reward", "http")
    assert any(need.startswith("uvicorn") for need in needs)
    assert any(need.startswith("math-verify") for need in needs)
    assert any(need.startswith("typer") for need in needs)  # of the extra `cli`
    assert not any(need.startswith(("torch", "transformers", "trimtab")) for need in needs)


def test_torch_images_need_what_both_servers_need() -> None:
    needs = requirements("rollout", "learner")
    assert needs >= requirements("rollout") | requirements("learner")
    assert any(need.startswith("torch") for need in needs)


def requirements(*extras: str) -> set[str]:
    """What an image's environment is built from."""
    done = subprocess.run(
        [sys.executable, "deploy/requirements.py", "pyproject.toml", *extras],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.split("\n")) - {""}

"""Brings the servers of docker-compose.yml up for a test, and looks at their containers."""

from __future__ import annotations

import functools
import json
import os
import shutil
import socket
import subprocess
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
COMPOSE_VERSION = ["docker", "compose", "version"]
SERVICES = ("rollout", "reward", "learner")
_BUILD_TIMEOUT_S = 720.0
_COMMAND_TIMEOUT_S = 180.0


@functools.cache
def missing() -> str:
    """Why no containers can be started here; empty if they can."""
    for program, command in (
        ("Docker engine", ["docker", "version"]),
        ("Docker Compose", COMPOSE_VERSION),
    ):
        if shutil.which("docker") is None:
            return "there is no `docker` command"
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
        if done.returncode != 0:
            return f"no {program} answers: {done.stderr.strip()}"
    return ""


def has_compose() -> bool:
    """True if Compose is installed, whether or not an engine answers."""
    if shutil.which("docker") is None:
        return False
    return subprocess.run(COMPOSE_VERSION, capture_output=True, check=False).returncode == 0


def free_ports(count: int) -> list[int]:
    """Ports on loopback that nobody listens on."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [int(one.getsockname()[1]) for one in sockets]
    for one in sockets:
        one.close()
    return ports


@dataclass(slots=True)
class Stack:
    """The three containers under a name and on ports of their own."""

    project: str = field(default_factory=lambda: f"trimtab-test-{uuid.uuid4().hex[:8]}")
    ports: Mapping[str, int] = field(
        default_factory=lambda: dict(zip(SERVICES, free_ports(len(SERVICES)), strict=True))
    )

    def target(self, service: str) -> str:
        """Where the service is published."""
        return f"127.0.0.1:{self.ports[service]}"

    def compose(
        self, *arguments: str, timeout_s: float = _COMMAND_TIMEOUT_S, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """One `docker compose` command."""
        ports = {f"{name.upper()}_PORT": str(port) for name, port in self.ports.items()}
        command = ["docker", "compose", "--project-name", self.project, *arguments]
        environment = {**os.environ, **ports, "TRIMTAB_IMAGE": self.project}
        return _run(command, environment, timeout_s, check=check)

    def up(self) -> None:
        """Builds the images and returns once all containers are healthy."""
        done = self.compose("up", "--build", "--wait", timeout_s=_BUILD_TIMEOUT_S, check=False)
        if done.returncode != 0:
            logs = self.compose("logs", "--tail", "40", check=False).stdout
            output = (done.stdout + done.stderr)[-8000:]
            raise AssertionError(f"the containers did not come up:\n{output}\n{logs}")

    def down(self) -> None:
        """Removes containers, networks, volumes and images."""
        self.compose("down", "--volumes", "--rmi", "all", "--timeout", "0", check=False)

    def container(self, service: str) -> dict[str, Any]:
        """What the engine knows about a service's container."""
        name = self.compose("ps", "--all", "--quiet", service).stdout.strip()
        done = _run(["docker", "inspect", name], None, _COMMAND_TIMEOUT_S, check=True)
        found: dict[str, Any] = json.loads(done.stdout)[0]
        return found

    def python(self, service: str, code: str) -> str:
        """What Python code prints in a service's container."""
        return self.compose("exec", "-T", service, "python", "-c", code).stdout.strip()


def _run(
    command: Sequence[str], environment: Mapping[str, str] | None, timeout_s: float, *, check: bool
) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
    if check:
        tail = (done.stdout + done.stderr)[-8000:]
        assert done.returncode == 0, f"{' '.join(command)} exited with {done.returncode}:\n{tail}"
    return done

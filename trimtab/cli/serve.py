"""`trimtab serve`: becomes one server."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from trimtab.config.learner import LearnerServerConfig
from trimtab.config.load import load_server_config
from trimtab.config.reward import RewardServerConfig
from trimtab.config.rollout import RolloutServerConfig
from trimtab.config.server import ServerConfig
from trimtab.supervisor.services import PROGRAMS, ServiceName, check_installed

Listen = Annotated[
    str | None, typer.Option(metavar="HOST:PORT", help="Where to listen; port 0: a free one.")
]
ConfigFile = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="A server's config, or a run's with a part `serve`."),
]
Assignments = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Overrides the file; repeatable."),
]
Insecure = Annotated[
    bool, typer.Option("--insecure", help="Allows plaintext beyond loopback, on a trusted network.")
]
TlsCert = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Certificate chain (PEM); switches TLS on.")
]
TlsKey = Annotated[Path | None, typer.Option(metavar="FILE", help="Private key (PEM).")]
TlsClientCa = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Authority that clients' certificates must come from (PEM)."),
]
Http = Annotated[
    str | None,
    typer.Option(metavar="HOST:PORT", help="Answers JSON over HTTP there too; port 0: a free one."),
]
Compat = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME",
        help="Speaks a trainer's HTTP shapes: openrlhf, slime, json; repeatable, commas work.",
    ),
]
PrintConfig = Annotated[
    bool, typer.Option("--print-config", help="Shows the whole config and ends.")
]

_CONFIGS: dict[ServiceName, type[ServerConfig]] = {
    "rollout": RolloutServerConfig,
    "reward": RewardServerConfig,
    "learner": LearnerServerConfig,
}


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    group = typer.Typer(
        no_args_is_help=True,
        help="Runs one server in the foreground: rollout, reward or learner.",
    )

    @group.command("rollout")
    def rollout(
        listen: Listen = None,
        config: ConfigFile = None,
        set_: Assignments = None,
        insecure: Insecure = False,
        tls_cert: TlsCert = None,
        tls_key: TlsKey = None,
        tls_client_ca: TlsClientCa = None,
        print_config: PrintConfig = False,
    ) -> None:
        """Serves generation (default port 50051).

        Example: `trimtab serve rollout --set model.path=models/SmolLM2-135M-Instruct`
        """
        files = _files(config, tls_cert, tls_key, tls_client_ca)
        _become("rollout", listen, set_, files, insecure=insecure, print_config=print_config)

    @group.command("reward")
    def reward(
        listen: Listen = None,
        config: ConfigFile = None,
        set_: Assignments = None,
        insecure: Insecure = False,
        tls_cert: TlsCert = None,
        tls_key: TlsKey = None,
        tls_client_ca: TlsClientCa = None,
        http: Http = None,
        compat: Compat = None,
        print_config: PrintConfig = False,
    ) -> None:
        """Serves verification (default port 50052).

        Example: `trimtab serve reward --listen 0.0.0.0:50052 --insecure --set workers=8`

        For other trainers: `trimtab serve reward --compat openrlhf --http 127.0.0.1:5000`
        """
        set_ = [*(set_ or []), *_http_assignments(http, compat)]
        files = _files(config, tls_cert, tls_key, tls_client_ca)
        _become("reward", listen, set_, files, insecure=insecure, print_config=print_config)

    @group.command("learner")
    def learner(
        listen: Listen = None,
        config: ConfigFile = None,
        set_: Assignments = None,
        insecure: Insecure = False,
        tls_cert: TlsCert = None,
        tls_key: TlsKey = None,
        tls_client_ca: TlsClientCa = None,
        print_config: PrintConfig = False,
    ) -> None:
        """Serves training (default port 50053).

        Example: `trimtab serve learner --set runs_dir=/data/runs`
        """
        files = _files(config, tls_cert, tls_key, tls_client_ca)
        _become("learner", listen, set_, files, insecure=insecure, print_config=print_config)

    app.add_typer(group, name="serve")


def _http_assignments(http: str | None, compat: list[str] | None) -> list[str]:
    assignments = [f"http.listen='{http}'"] if http else []
    if compat:
        names = [name.strip() for part in compat for name in part.split(",")]
        assignments.append(f"http.compat={json.dumps([name for name in names if name])}")
    return assignments


def _files(
    config: Path | None, cert: Path | None, key: Path | None, client_ca: Path | None
) -> dict[str, Path | None]:
    return {"config": config, "tls-cert": cert, "tls-key": key, "tls-client-ca": client_ca}


def _become(
    service: ServiceName,
    listen: str | None,
    assignments: list[str] | None,
    files: dict[str, Path | None],
    *,
    insecure: bool,
    print_config: bool,
) -> None:
    """Replaces this process by the server, which gets the same arguments."""
    check_installed(service)
    # The server checks its config too, but only after it has loaded its libraries.
    load_server_config(_CONFIGS[service], service, files["config"], assignments or [])
    arguments = [f"--{name}={path}" for name, path in files.items() if path is not None]
    arguments += [f"--set={assignment}" for assignment in assignments or []]
    arguments += [f"--listen={listen}"] if listen else []
    arguments += ["--insecure"] if insecure else []
    arguments += ["--print-config"] if print_config else []
    program = [sys.executable, "-m", PROGRAMS[service].module, *arguments]
    os.execv(sys.executable, program)  # noqa: S606

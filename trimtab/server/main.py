"""The command line that all three servers share: `python -m <service> --listen HOST:PORT ...`."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from trimtab.config.base import dump_yaml
from trimtab.config.load import load_server_config
from trimtab.config.server import ServerConfig
from trimtab.errors import ConfigError
from trimtab.server.logs import configure_logs
from trimtab.server.runtime import ServiceSpec, serve

S = TypeVar("S", bound=ServerConfig)


def run_server(
    service: str,
    model: type[S],
    build: Callable[[S], ServiceSpec],
    argv: Sequence[str] | None = None,
) -> int:
    """Reads the config, builds the service and serves it; gives the exit status.

    `build` runs inside the event loop and may raise `ConfigError`.
    """
    arguments = _parser(service).parse_args(argv)
    assignments = list(arguments.set)
    if arguments.listen:
        assignments.append(f"listen='{arguments.listen}'")
    if arguments.insecure:
        assignments.append("insecure=true")
    for option in ("cert", "key", "client_ca"):
        value = getattr(arguments, f"tls_{option}")
        if value:
            assignments.append(f"tls.{option}_file='{value}'")
    try:
        config = load_server_config(model, service, arguments.config, assignments)
        if arguments.print_config:
            print(dump_yaml(config), end="")  # noqa: T201
            return 0
        configure_logs(service=service, log_format=config.log_format, level=config.log_level)
        return asyncio.run(_serve(build, config))
    except ConfigError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        return 2


async def _serve(build: Callable[[S], ServiceSpec], config: S) -> int:
    return await serve(build(config), config)


def _parser(service: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"trimtab serve {service}", description=f"Serves the {service} service."
    )
    parser.add_argument("--listen", metavar="HOST:PORT", help="where to listen; port 0: a free one")
    parser.add_argument("--config", type=Path, metavar="FILE", help="YAML file")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="overrides the file"
    )
    parser.add_argument("--insecure", action="store_true", help="plaintext beyond loopback")
    parser.add_argument("--tls-cert", metavar="FILE", help="certificate chain (PEM)")
    parser.add_argument("--tls-key", metavar="FILE", help="private key (PEM)")
    parser.add_argument("--tls-client-ca", metavar="FILE", help="authority of clients (PEM)")
    parser.add_argument("--print-config", action="store_true", help="show the config and end")
    return parser

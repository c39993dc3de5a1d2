"""Exits 0 if the server's health is SERVING: the images' health check.

python healthcheck.py HOST:PORT [--ca FILE] [--cert FILE --key FILE]
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from dataclasses import dataclass
from pathlib import Path

from trimtab.client import wait_until_serving
from trimtab.errors import TrimtabError

_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tls:
    ca_file: Path | None
    cert_file: Path | None
    key_file: Path | None


def main() -> int:
    """Asks the server; gives the exit status."""
    parser = argparse.ArgumentParser(description="Exits 0 if the server's health is SERVING.")
    parser.add_argument("target", metavar="HOST:PORT")
    for name, text in (
        ("ca", "authority of the server's certificate; switches TLS on"),
        ("cert", "certificate of this side"),
        ("key", "private key of this side"),
    ):
        parser.add_argument(f"--{name}", type=Path, metavar="FILE", help=f"{text} (PEM)")
    arguments = parser.parse_args()
    tls = None
    if arguments.ca is not None:
        tls = _Tls(ca_file=arguments.ca, cert_file=arguments.cert, key_file=arguments.key)
    try:
        asyncio.run(wait_until_serving(arguments.target, timeout_s=_TIMEOUT_S, tls=tls))
    except TrimtabError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

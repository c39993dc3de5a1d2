"""`trimtab check-reward`: does a reward server keep to the contract?"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trimtab.cli.console import errors, output, say
from trimtab.cli.running import Signals, run
from trimtab.errors import ConfigError, RemoteError

if TYPE_CHECKING:
    from trimtab.conformance import Finding, Options, Report

_MARKS = {
    "passed": "[green]ok[/]",
    "failed": "[red]FAILED[/]",
    "advised": "[yellow]advised[/]",
    "skipped": "[dim]-[/]",
}
_UNREACHABLE = 2


@dataclass(frozen=True, slots=True)
class _TlsFiles:
    ca_file: Path | None
    cert_file: Path | None
    key_file: Path | None


def register(app: typer.Typer) -> None:
    """Adds the command."""

    @app.command("check-reward")
    def check_reward(
        address: Annotated[str, typer.Argument(metavar="ADDRESS", help="Target, as HOST:PORT.")],
        verifier: Annotated[
            str, typer.Option(help="Verifier that is asked; default: the server's first.")
        ] = "",
        cases: Annotated[
            Path | None,
            typer.Option(metavar="FILE.jsonl", help="Items with the outcome or reward they get."),
        ] = None,
        as_json: Annotated[
            bool, typer.Option("--json", help="The report as JSON on standard output.")
        ] = False,
        out: Annotated[
            Path | None, typer.Option(metavar="FILE", help="Writes the report as JSON as well.")
        ] = None,
        only: Annotated[
            list[str], typer.Option(metavar="NAME", help="Runs this check; may be repeated.")
        ] = [],  # noqa: B006 - typer copies it
        skip: Annotated[
            list[str], typer.Option(metavar="NAME", help="Leaves it out; may be repeated.")
        ] = [],  # noqa: B006
        quick: Annotated[
            bool, typer.Option("--quick", help="Without 10,000 items and overload.")
        ] = False,
        timeout: Annotated[float, typer.Option(min=1, help="Seconds a call may take.")] = 30.0,
        tls: Annotated[bool, typer.Option("--tls", help="TLS with the system's roots.")] = False,
        tls_ca: Annotated[
            Path | None, typer.Option(metavar="FILE", help="TLS; authority of the server (PEM).")
        ] = None,
        tls_cert: Annotated[
            Path | None, typer.Option(metavar="FILE", help="TLS; own certificate (PEM).")
        ] = None,
        tls_key: Annotated[
            Path | None, typer.Option(metavar="FILE", help="TLS; own private key (PEM).")
        ] = None,
    ) -> None:
        """Checks whether a reward server, in any language, keeps to the contract.

        Example: `trimtab check-reward 127.0.0.1:50052 --quick`
        """
        from trimtab.conformance import QUICK, Options, Scale, read_cases

        if (tls_cert is None) != (tls_key is None):
            raise ConfigError("--tls-cert and --tls-key come together")
        files = _TlsFiles(tls_ca, tls_cert, tls_key) if tls or tls_ca or tls_cert else None
        options = Options(
            target=address,
            tls=files,
            verifier=verifier,
            timeout_s=timeout,
            is_quick=quick,
            only=only,
            skip=skip,
            cases=read_cases(cases) if cases is not None else (),
            scale=QUICK if quick else Scale(),
        )
        raise typer.Exit(_check(options, as_json=as_json, out=out))


def _check(options: Options, *, as_json: bool, out: Path | None) -> int:
    """Runs the checks, shows what came of them, and gives the exit status."""
    reports: list[Report] = []

    async def checked(_: Signals) -> int:
        from trimtab.conformance import run_suite

        with errors.status("connecting") as status:
            report = await run_suite(
                options,
                progress=lambda name, number, count: status.update(f"{number}/{count} {name}"),
            )
        reports.append(report)
        return 0 if report.is_passed else 1

    try:
        found = run(checked)
    except RemoteError as error:
        errors.print(f"error: {error}", style="red", markup=False, soft_wrap=True)
        return _UNREACHABLE
    for report in reports:
        _tell(report, as_json=as_json, out=out)
    return found


def _tell(report: Report, *, as_json: bool, out: Path | None) -> None:
    text = json.dumps(report.to_json(), indent=2)
    if out is not None:
        out.write_text(f"{text}\n", encoding="utf-8")
        say(f"report in {out}")
    if as_json:
        output.print(text, markup=False, soft_wrap=True)
    else:
        _show(report)


def _show(report: Report) -> None:
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for heading in ("", "check", "level", "seen"):
        table.add_column(heading, overflow="fold")
    for finding in report.findings:
        table.add_row(_MARKS[finding.status], finding.name, finding.level, escape(finding.seen))
    output.print(table)
    for finding in report.findings:
        if finding.status in ("failed", "advised"):
            _explain(finding)
    counts = Counter(str(finding.status) for finding in report.findings)
    summed = ", ".join(f"{counts[status]} {status}" for status in _MARKS if counts[status])
    verdict = "[green]keeps to[/]" if report.is_passed else "[red]breaks[/]"
    output.print(f"\n{escape(report.target)} {verdict} the contract: {summed}", soft_wrap=True)


def _explain(finding: Finding) -> None:
    output.print(f"\n{_MARKS[finding.status]} [bold]{finding.name}[/]")
    lines = {"seen": finding.seen, "contract": finding.contract, "mend": finding.mend}
    for label, text in lines.items():
        if text:
            output.print(f"  {label + ':':<10}{text}", markup=False, soft_wrap=True)

"""Options of the commands that read rows to judge."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

FileArgument = Annotated[
    Path, typer.Argument(metavar="FILE", help="A .parquet or .jsonl file.", show_default=False)
]
ResponseField = Annotated[
    str,
    typer.Option("--response-field", help="Column of the responses; dots go into structures."),
]
ReferencesField = Annotated[
    str | None,
    typer.Option(
        "--references-field",
        help="Column of the references; default: the first that exists of references, "
        "reference, answer, ground_truth, reward_model.ground_truth.",
    ),
]
NoReferences = Annotated[
    bool, typer.Option("--no-references", help="Rows may be without references.")
]
PromptField = Annotated[
    str | None,
    typer.Option(
        "--prompt-field", help="Column of the prompts, texts or messages; default: prompt, if any."
    ),
]
MetadataField = Annotated[
    list[str] | None,
    typer.Option(
        "--metadata-field",
        help="Column of metadata, an object or a value; may be repeated; "
        "default: metadata, if any.",
    ),
]
ScoreOut = Annotated[
    Path | None,
    typer.Option("--out", metavar="FILE.parquet", help="Default: FILE with .scored.parquet."),
]
Audit = Annotated[
    str | None,
    typer.Option("--audit", metavar="VERIFIER", help="Judges a share of the rows as well."),
]
AuditShare = Annotated[
    float, typer.Option("--audit-share", min=0.0, max=1.0, help="The share that is audited.")
]
Restart = Annotated[bool, typer.Option("--restart", help="Begins anew instead of going on.")]
Show = Annotated[
    int, typer.Option("--show", min=0, help="Slowest and most doubtful rows that are listed.")
]

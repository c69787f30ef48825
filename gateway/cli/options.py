"""Options and arguments that several commands have. Imports nothing heavy: every ``--help`` pays for it."""

from __future__ import annotations

from typing import Annotated

import typer

ContextName = Annotated[
    str | None, typer.Option("--context", help="The gateway to ask, of those that `gateway context list` shows.")
]
Number = Annotated[int, typer.Argument(help="The number of a revision.", metavar="N", min=1)]
Limit = Annotated[int, typer.Option(help="How many at most.", min=1, max=200)]
DocumentFile = Annotated[
    str, typer.Argument(help="The document, the folder of its files, or - for standard input.", metavar="FILE")
]
Message = Annotated[str | None, typer.Option("--message", "-m", help="Why, for the history.")]
Timeout = Annotated[
    str, typer.Option(help="How long the nodes may take to answer, as in 30s or 2m; 0s waits for none.")
]
IfMatch = Annotated[
    int | None, typer.Option("--if-match", help="Only if this revision is still the newest.", metavar="N", min=1)
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only show what would change.")]

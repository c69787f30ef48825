"""What became of a write on the nodes: in words, and as the exit code."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import typer

from gateway.cli.changes import difference_lines
from gateway.cli.output import Output, plain, show, understood

_GOOD = ("applied",)
_NOT_BAD = ("applied", "pending", "timed_out")
"""For who did not wait: that nodes have not answered yet was to be expected."""
_LISTED = 20
"""Nodes that are named."""
_MEANINGS = {
    "applied": "every connected node has it",
    "pending": "the nodes have not all answered yet",
    "refused": "refused by nodes, and rolled back",
    "rolled_back": "rolled back",
    "timed_out": "not every node answered in time",
}


def show_outcome(answer: dict[str, Any], output: Output, *, waited: bool) -> None:
    """Print the answer to a write; what it would change, for a dry run.

    Raises:
        Exit: with 1 unless every node has it, or nobody waited for that.
    """
    with understood():
        planned = "outcome" not in answer
        well = planned or answer["outcome"] in (_GOOD if waited else _NOT_BAD)
    show(answer, output, difference_lines if planned else outcome_lines)
    if not well:
        raise typer.Exit(1)


def outcome_lines(answer: dict[str, Any]) -> Iterable[str]:
    """The whole in one line, then each group that is of interest, with its nodes and their words."""
    number = "without a history" if answer["revision"] is None else f"revision {answer['revision']}"
    unchanged = "" if answer["changed"] else ", as before"
    yield plain(f"{number}{unchanged}: {answer['outcome']}{_meaning(answer['outcome'])}")
    for group in answer["groups"]:
        yield plain(f"  {group['group']}: {group['outcome']}")
        for node, words in group["refused"].items():
            yield plain(f"    {node} refuses it: {words}")
        for node in group["waiting"][:_LISTED]:
            yield plain(f"    {node} has not answered")
        if len(group["waiting"]) > _LISTED:
            yield f"    and {len(group['waiting']) - _LISTED} more have not answered"


def _meaning(outcome: str) -> str:
    return f" ({_MEANINGS[outcome]})" if outcome in _MEANINGS else ""

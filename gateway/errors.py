"""What the command says when it can't do what was asked."""

from __future__ import annotations


class CommandError(Exception):
    """A problem in words for people. The command prints it on standard error and exits with 1."""

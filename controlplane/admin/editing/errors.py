"""What can keep a document from being edited in place."""

from __future__ import annotations


class EditError(Exception):
    """The change can't be made inside this text; the text says why. The whole document can still be replaced."""


class NoSuchResourceError(Exception):
    """There is no resource of that name."""

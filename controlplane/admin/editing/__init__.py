"""Changing one resource inside a document's text: everything else stays as it was written, byte for byte. Pure."""

from controlplane.admin.editing.errors import EditError, NoSuchResourceError
from controlplane.admin.editing.resources import Draft, Resource, find, listed, put, remove
from controlplane.admin.editing.sections import SECTIONS, Section

__all__ = [
    "SECTIONS",
    "Draft",
    "EditError",
    "NoSuchResourceError",
    "Resource",
    "Section",
    "find",
    "listed",
    "put",
    "remove",
]

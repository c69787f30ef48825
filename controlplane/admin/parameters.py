"""Parameters and members that several operations take."""

from __future__ import annotations

from typing import Annotated

from fastapi import Header, Path, Query
from pydantic import AfterValidator

from controlplane.store import LARGEST_NUMBER


def _check_printable(text: str) -> str:
    if not text.isprintable() or text != text.strip():
        raise ValueError("printable characters, and no space at either end")
    return text


PrintableText = Annotated[str, AfterValidator(_check_printable)]
Number = Annotated[int, Path(ge=1, le=LARGEST_NUMBER, description="The number of a revision.")]
Before = Annotated[
    int | None, Query(ge=1, le=LARGEST_NUMBER, description="Only below this number: `before` of the page before.")
]
Limit = Annotated[int, Query(ge=1, le=200, description="How many at most.")]
Message = Annotated[str, Query(max_length=500, description="Why, for the history.")]
Wait = Annotated[
    float, Query(ge=0, le=600, allow_inf_nan=False, description="Seconds for which the answer waits for the nodes.")
]
IfMatch = Annotated[
    str | None,
    Header(
        alias="If-Match",
        description="The ETag that has to be the current one still: of the resource, or of the document.",
    ),
]
IfNoneMatch = Annotated[
    str | None, Header(alias="If-None-Match", description="`*` to create only; an ETag to read only what is another.")
]

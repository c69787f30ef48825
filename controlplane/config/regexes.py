"""The field type for regular expressions."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from controlplane.config.base import mistake
from controlplane.config.re2 import RegexError, check_regex


def _check_re2(text: str) -> str:
    try:
        check_regex(text)
    except RegexError as error:
        raise mistake("regex", f"{error} (at character {error.offset + 1})", error.hint) from None
    return text


Regex = Annotated[
    str, Field(min_length=1, max_length=1024, json_schema_extra={"format": "regex"}), AfterValidator(_check_re2)
]
"""RE2 syntax."""

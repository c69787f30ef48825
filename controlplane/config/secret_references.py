"""Where a document names a secret. The secret itself must not stand in it, and a message must not repeat it."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import AfterValidator, Field

from controlplane.config.base import mistake
from servicekit.secret_reference import MAX_REFERENCE_LENGTH, SecretReferenceError, parse_reference

_HINT: Final = (
    "write env:GATEWAY_SECRET_NAME, or file:NAME with a path below GATEWAY_SECRETS_DIR; "
    "a secret that stood here has to be replaced: who can read the document has it"
)


def _check_reference(text: str) -> str:
    try:
        parse_reference(text)
    except SecretReferenceError:
        raise mistake("secret-reference", "this is no reference to a secret", _HINT) from None
    return text


def _check_file(text: str) -> str:
    if not _check_reference(text).startswith("file:"):
        raise mistake("file-reference", "this is no reference to a file", "write file:NAME")
    return text


SecretText = Annotated[
    str,
    AfterValidator(_check_reference),
    Field(json_schema_extra={"pattern": "^(env:GATEWAY_SECRET_|file:)", "maxLength": MAX_REFERENCE_LENGTH}),
]
"""`env:GATEWAY_SECRET_NAME` or `file:NAME`: resolved by the service that uses it, never by the control plane."""

FileText = Annotated[
    str,
    AfterValidator(_check_file),
    Field(json_schema_extra={"pattern": "^file:", "maxLength": MAX_REFERENCE_LENGTH}),
]
"""`file:NAME`, a path below `GATEWAY_SECRETS_DIR` of the service that reads it."""

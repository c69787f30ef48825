"""The lines of an export: one JSON object each, told apart by ``kind``."""

from __future__ import annotations

import base64
import binascii
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    TypeAdapter,
    ValidationError,
)

from controlplane.store.api_keys import ApiKey
from controlplane.store.audit import AuditEntry
from controlplane.store.errors import TransferError
from controlplane.store.limit_overrides import LimitOverride
from controlplane.store.nodes import NodeRecord
from controlplane.store.revision import LARGEST_NUMBER, Outcome, Revision
from controlplane.store.storable import storable, storable_json
from controlplane.store.tokens import Token, TokenRole

FORMAT = "api-gateway store"
VERSION = 1
LARGEST_LINE = 16 * 1024 * 1024
"""Bytes."""


def _check_storable(text: str) -> str:
    if storable(text) != text:
        raise ValueError("a character that can't be stored")
    return text


def _check_json(value: dict[str, Any]) -> dict[str, Any]:
    storable_json(value)
    return value


def _to_utc(at: datetime) -> datetime:
    try:
        return at.astimezone(UTC)
    except OverflowError:
        raise ValueError("outside the years that there are") from None


_Words = Annotated[str, AfterValidator(_check_storable)]
_Number = Annotated[int, Field(ge=1, le=LARGEST_NUMBER)]
_Count = Annotated[int, Field(ge=0, le=LARGEST_NUMBER)]
_Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
_Moment = Annotated[AwareDatetime, AfterValidator(_to_utc)]
_Object = Annotated[dict[str, JsonValue], AfterValidator(_check_json)]


class _Line(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    def row(self) -> dict[str, Any]:
        """The columns of its table."""
        return self.model_dump(exclude={"kind"})


class HeaderLine(_Line):
    """The first."""

    kind: Literal["header"] = "header"
    format: Literal["api-gateway store"] = "api-gateway store"
    version: int = VERSION


class OriginLine(_Line):
    """What a source had last."""

    kind: Literal["origin"] = "origin"
    origin: _Words
    digest: _Digest


class TokenLine(_Line):
    """A token, which goes on working: its secret can be checked and not be read."""

    kind: Literal["token"] = "token"
    id: Annotated[str, Field(pattern=r"^[0-9A-Za-z]{1,64}$")]
    name: _Words
    role: TokenRole
    scopes: list[_Words]
    digest: _Digest
    created_at: _Moment
    expires_at: _Moment | None
    revoked_at: _Moment | None
    last_used_at: _Moment | None


class ApiKeyLine(_Line):
    """An API key, which goes on working where its hash is made with the same secret."""

    kind: Literal["api_key"] = "api_key"
    id: Annotated[str, Field(pattern=r"^[0-9A-Za-z]{1,64}$")]
    provider: _Words
    owner: _Words
    tier: _Words
    scopes: list[_Words]
    metadata: Annotated[dict[str, str], AfterValidator(_check_json)]
    digest: _Digest
    previous_digest: Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")]
    previous_until: _Moment | None
    created_at: _Moment
    rotated_at: _Moment | None
    expires_at: _Moment | None
    revoked_at: _Moment | None
    change: _Number


class OverrideLine(_Line):
    """Another amount for one caller of a rate limit; or what is left of one that was removed."""

    kind: Literal["limit_override"] = "limit_override"
    id: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
    limit: _Words
    caller: list[_Words]
    ruling: Literal["amount", "unlimited", "denied"]
    requests: _Number | None
    period: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None
    burst: _Number | None
    note: _Words
    created_at: _Moment
    changed_at: _Moment | None
    expires_at: _Moment | None
    removed_at: _Moment | None
    change: _Number


class NodeLine(_Line):
    """What was known of a node."""

    kind: Literal["node"] = "node"
    id: _Words
    replica: _Words
    service: _Words
    group: _Words
    peer: _Words
    connected_at: _Moment
    disconnected_at: _Moment | None
    last_seen: _Moment
    types: _Object


class RevisionLine(_Line):
    """A revision, the text in Base64 because it may be any bytes."""

    kind: Literal["revision"] = "revision"
    number: _Number
    created_at: _Moment
    author: _Words
    origin: _Words
    message: _Words
    digest: _Digest
    outcome: Outcome
    groups: _Object
    text: str

    def row(self) -> dict[str, Any]:
        """The columns of its table."""
        return super().row() | {"text": self.raw(), "outcome": self.outcome.value}

    def raw(self) -> bytes:
        """The document.

        Raises:
            ValueError: this is not Base64.
        """
        try:
            return base64.b64decode(self.text, validate=True)
        except binascii.Error:
            raise ValueError("the text is not Base64") from None


class AuditLine(_Line):
    """An entry of the audit log."""

    kind: Literal["audit"] = "audit"
    number: _Number
    at: _Moment
    actor: _Words
    address: _Words
    action: _Words
    target: _Words
    detail: _Object
    previous: _Digest
    digest: _Digest

    def entry(self) -> AuditEntry:
        """As the log has it."""
        return AuditEntry(**self.row())


class EndLine(_Line):
    """The last: without it something is missing."""

    kind: Literal["end"] = "end"
    counts: dict[str, _Count]
    """Lines by kind, without header and end."""
    digest: _Digest
    """SHA-256 over all lines before, each with a line feed."""


Line: TypeAlias = (
    HeaderLine | OriginLine | TokenLine | ApiKeyLine | OverrideLine | NodeLine | RevisionLine | AuditLine | EndLine
)

_reader: TypeAdapter[Line] = TypeAdapter(Annotated[Line, Field(discriminator="kind")])


def read_line(raw: bytes, number: int) -> Line:
    """One line without its line feed; ``number`` says which, in errors.

    Raises:
        TransferError: it is none.
    """
    if len(raw) > LARGEST_LINE:
        raise TransferError(f"line {number} of the import has more than {LARGEST_LINE} bytes")
    try:
        return _reader.validate_json(raw)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise TransferError(f"line {number} of the import is not right: {place} {first['msg']}".strip()) from None


def write_line(line: Line) -> str:
    """With its line feed."""
    return f"{line.model_dump_json()}\n"


def token_line(token: Token) -> TokenLine:
    """A token as a line."""
    values = {name: getattr(token, name) for name in TokenLine.model_fields if name != "kind"}
    return TokenLine(**values | {"scopes": list(token.scopes)})


def api_key_line(key: ApiKey) -> ApiKeyLine:
    """An API key as a line."""
    values = {name: getattr(key, name) for name in ApiKeyLine.model_fields if name != "kind"}
    return ApiKeyLine(**values | {"scopes": list(key.scopes), "metadata": dict(key.metadata)})


def override_line(override: LimitOverride) -> OverrideLine:
    """An override as a line."""
    values = {name: getattr(override, name) for name in OverrideLine.model_fields if name != "kind"}
    return OverrideLine(**values | {"caller": list(override.caller)})


def node_line(record: NodeRecord) -> NodeLine:
    """A node as a line."""
    return NodeLine(**{name: getattr(record, name) for name in NodeLine.model_fields if name != "kind"})


def revision_line(revision: Revision) -> RevisionLine:
    """A revision as a line."""
    values = {name: getattr(revision, name) for name in RevisionLine.model_fields if name != "kind"}
    return RevisionLine(**values | {"text": base64.b64encode(revision.text).decode("ascii")})


def audit_line(entry: AuditEntry) -> AuditLine:
    """An entry as a line."""
    return AuditLine(**{name: getattr(entry, name) for name in AuditLine.model_fields if name != "kind"})

"""API keys as they come and go over the admin API."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Annotated, Final

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from controlplane.admin.errors import ApiError, MistakeOut, invalid, mistakes_of
from controlplane.admin.parameters import PrintableText
from controlplane.model import ApiKeyProvider, Gateway
from servicekit.contracts.auth_policy import TIER_PATTERN

LONGEST_LIFE: Final = timedelta(days=3660)
LONGEST_OVERLAP: Final = 90 * 86_400
_MOST_METADATA: Final = 16

_Scope = Annotated[str, Field(max_length=100, pattern=r"^[\x21\x23-\x5b\x5d-\x7e]+$")]
_MetadataName = Annotated[PrintableText, Field(min_length=1, max_length=64)]
_MetadataText = Annotated[PrintableText, Field(max_length=256)]


class ApiKeyChangeIn(BaseModel):
    """What can be changed of a key."""

    model_config = ConfigDict(extra="forbid", strict=True)

    owner: Annotated[PrintableText, Field(min_length=1, max_length=128)]
    """Whose it is. Limits `by: user` count the keys of one owner together."""
    tier: str = Field(default="", pattern=f"^({TIER_PATTERN})?$")
    """What the owner is worth, for limits with `tiers`."""
    scopes: list[_Scope] = Field(default=[], max_length=32)
    """What it grants (RFC 6749 §3.3), for routes that ask for `scopes`."""
    metadata: dict[_MetadataName, _MetadataText] = Field(default={}, max_length=_MOST_METADATA)
    """What you want to remember of it. It stays here: no proxy and no upstream gets it."""
    expires_at: Annotated[AwareDatetime | None, Field(strict=False)] = None
    """When it ends; null for never."""


class ApiKeyIn(ApiKeyChangeIn):
    """A key to be made."""

    provider: str = Field(min_length=1, max_length=200)
    """Who takes it: a name in `authentication` of the live document, whose `api_key` says `managed: true`."""


class RotationIn(BaseModel):
    """How a key gets another secret."""

    model_config = ConfigDict(extra="forbid", strict=True)

    overlap_seconds: int = Field(default=86_400, ge=0, le=LONGEST_OVERLAP)
    """How long the secret before is good too; with 0 it ends now."""


class ApiKeyOut(BaseModel):
    """A key, without its secret."""

    id: str
    provider: str
    owner: str
    tier: str
    scopes: list[str]
    metadata: dict[str, str]
    created_at: datetime
    rotated_at: datetime | None
    previous_until: datetime | None
    """Until when the secret before the last rotation is good too."""
    expires_at: datetime | None
    revoked_at: datetime | None


class NewApiKeyOut(ApiKeyOut):
    """A key with a secret that was just made."""

    key: str
    """What its bearer sends. It is shown now and never again."""


class ApiKeyPageOut(BaseModel):
    """Some keys, newest first."""

    items: list[ApiKeyOut]
    after: str | None
    """The `after` of the next page; null on the last."""


def read_new(value: object, live: Gateway | None, now: datetime) -> ApiKeyIn:
    """A key that is to be made.

    Raises:
        ApiError: 422, it can't be, with every mistake.
    """
    try:
        wanted = ApiKeyIn.model_validate(value)
    except ValidationError as error:
        raise _refused(mistakes_of(error.errors(include_url=False, include_input=False))) from None
    mistakes = [*_provider_mistakes(wanted.provider, live), *_time_mistakes(wanted, now)]
    if mistakes:
        raise _refused(mistakes)
    return wanted


def read_change(value: object, now: datetime) -> ApiKeyChangeIn:
    """What a key is to be.

    Raises:
        ApiError: 422, it can't be, with every mistake.
    """
    try:
        wanted = ApiKeyChangeIn.model_validate(value)
    except ValidationError as error:
        raise _refused(mistakes_of(error.errors(include_url=False, include_input=False))) from None
    if mistakes := list(_time_mistakes(wanted, now)):
        raise _refused(mistakes)
    return wanted


def read_rotation(value: object) -> RotationIn:
    """How a key is to be rotated.

    Raises:
        ApiError: 422, it can't be, with every mistake.
    """
    try:
        return RotationIn.model_validate(value)
    except ValidationError as error:
        raise _refused(mistakes_of(error.errors(include_url=False, include_input=False))) from None


def _refused(mistakes: list[MistakeOut]) -> ApiError:
    return invalid(mistakes, detail="This is no API key that there could be.", code="invalid-request")


def _provider_mistakes(name: str, live: Gateway | None) -> Iterator[MistakeOut]:
    """A key that nobody takes would be believed to be good."""
    providers = {one.name: one for one in live.identity_providers} if live is not None else {}
    provider = providers.get(name)
    if provider is None:
        message, hint = "the live document has no such provider", "write a name that stands in authentication"
    elif not isinstance(provider, ApiKeyProvider):
        message, hint = "this provider takes no API keys", "write the name of one with `api_key`"
    elif not provider.managed:
        message, hint = "this provider takes the keys of the document only", "add `managed: true` to its api_key"
    else:
        return
    yield MistakeOut(pointer="/provider", code="no-effect", message=message, hint=hint)


def _time_mistakes(wanted: ApiKeyChangeIn, now: datetime) -> Iterator[MistakeOut]:
    if wanted.expires_at is not None and not now < wanted.expires_at <= now + LONGEST_LIFE:
        yield MistakeOut(pointer="/expires_at", code="out-of-range", message="this is past, or too far away")

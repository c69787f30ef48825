"""``ApiKeys``: the API keys that are made while the gateway runs, in parts, as ext_authz looks them up."""

from __future__ import annotations

import hashlib
import hmac
from typing import ClassVar, Final

from pydantic import Field

from servicekit.contracts.base import Contract
from servicekit.credential_text import Credential, CredentialForm

API_KEY_TEXT: Final = CredentialForm("gwk")
"""How a key is written."""


class ManagedKey(Contract):
    """One key that may be used, now or until it is over."""

    id: str
    provider: str
    """The document's name of the provider that it is for."""
    digest: str
    """:func:`key_digest` of its secret."""
    previous_digest: str = Field(default="", exclude_if=lambda digest: not digest)
    """That of the secret before, while that is good too."""
    previous_until: float | None = Field(default=None, exclude_if=lambda until: until is None)
    """Until when, in seconds since the epoch."""
    owner: str
    tier: str = Field(default="", exclude_if=lambda tier: not tier)
    scopes: tuple[str, ...] = Field(default=(), exclude_if=lambda scopes: not scopes)
    expires_at: float | None = Field(default=None, exclude_if=lambda until: until is None)
    """Seconds since the epoch."""


class ApiKeys(Contract):
    """One part of the keys; or, called ``index``, the names of the parts that there are."""

    TYPE_URL: ClassVar[str] = "type.googleapis.com/gateway.policy.v1.ApiKeys"

    keys: tuple[ManagedKey, ...] = Field(default=(), exclude_if=lambda keys: not keys)
    parts: tuple[str, ...] = Field(default=(), exclude_if=lambda parts: not parts)


def key_digest(secret: bytes, key: Credential) -> str:
    """HMAC-SHA256 (RFC 2104) of a key under the installation's secret, in lower-case hex.

    Who reads the store can't tell whether a key that they found is good without that secret too.
    """
    return hmac.digest(secret, f"{key.id}_{key.secret}".encode(), hashlib.sha256).hex()

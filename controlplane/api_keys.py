"""API keys that are made while the gateway runs: how one comes to be, and what every ext_authz gets to know of it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final

from controlplane.publishing import Kind
from controlplane.store.api_keys import ApiKey
from servicekit.contracts import ApiKeys, ManagedKey
from servicekit.contracts.api_keys import API_KEY_TEXT, key_digest
from servicekit.credential_text import Credential


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyMaker:
    """Makes keys, and other secrets for them."""

    secret: bytes = field(repr=False)
    """What keys are hashed with."""

    def make(self, now: datetime, **members: Any) -> tuple[ApiKey, str]:
        """A new key with the ``members`` of :class:`ApiKey` that people choose, and what its bearer sends."""
        made = API_KEY_TEXT.make()
        key = ApiKey(
            id=made.id,
            digest=self._digest(made),
            previous_digest="",
            previous_until=None,
            created_at=now,
            rotated_at=None,
            revoked_at=None,
            change=0,
            **members,
        )
        return key, API_KEY_TEXT.write(made)

    def rotate(self, key: ApiKey, now: datetime, overlap: timedelta) -> tuple[ApiKey, str]:
        """``key`` with another secret, and what its bearer sends from now on; the one before is good for ``overlap``.

        One that was before that is not good any more: two are, at most.
        """
        made = API_KEY_TEXT.make(key.id)
        rotated = replace(
            key,
            digest=self._digest(made),
            previous_digest=key.digest if overlap else "",
            previous_until=now + overlap if overlap else None,
            rotated_at=now,
        )
        return rotated, API_KEY_TEXT.write(made)

    def _digest(self, made: Credential) -> str:
        return key_digest(self.secret, made)


def _sent(key: ApiKey, now: datetime) -> ManagedKey | None:
    if key.revoked_at is not None or (key.expires_at is not None and key.expires_at <= now):
        return None
    return ManagedKey(
        id=key.id,
        provider=key.provider,
        digest=key.digest,
        previous_digest=key.previous_digest,
        previous_until=_seconds(key.previous_until),
        owner=key.owner,
        tier=key.tier,
        scopes=key.scopes,
        expires_at=_seconds(key.expires_at),
    )


def _seconds(moment: datetime | None) -> float | None:
    return None if moment is None else moment.timestamp()


API_KEYS: Final[Kind[ApiKey, ManagedKey]] = Kind(
    what="API keys",
    contract=ApiKeys,
    sent=_sent,
    part=lambda keys: ApiKeys(keys=keys),
    index=lambda names: ApiKeys(parts=names),
)
"""What is published of them."""

"""The API keys that are made while the gateway runs, as far as this process knows them. No I/O and no clock."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from servicekit.contracts import ApiKeys, ManagedKey
from servicekit.contracts.api_keys import API_KEY_TEXT, key_digest
from servicekit.contracts.parts import part_of
from servicekit.credential_text import Credential

_NONE: Final[Mapping[str, ManagedKey]] = MappingProxyType({})


class Shelf:
    """The keys of one part. Whoever remembers an answer that came of it looks whether it is as it was."""

    __slots__ = ("_keys",)

    def __init__(self) -> None:
        self._keys = _NONE

    def current(self, _now: float) -> Mapping[str, ManagedKey]:
        """The keys by their id; another mapping whenever any of them is another one."""
        return self._keys

    def put(self, keys: Mapping[str, ManagedKey]) -> None:
        """From now on there are these."""
        self._keys = keys


class KeyBook:
    """Finds keys by what their bearers send.

    ``secret`` is what they are hashed with; ``None`` where this process was not told it, and knows no key.
    """

    def __init__(self, secret: bytes | None) -> None:
        self._secret = secret
        self._shelves: dict[str, Shelf] = {}
        self.is_complete = False
        """Whether all keys are known that there are: else one that is not known may be good all the same."""

    def __len__(self) -> int:
        return sum(len(shelf.current(0)) for shelf in self._shelves.values())

    @property
    def can_verify(self) -> bool:
        """Whether this process was told what keys are hashed with."""
        return self._secret is not None

    def put(self, parts: Mapping[str, ApiKeys], dropped: frozenset[str], is_complete: bool) -> None:
        """Learn parts that are new or other ones, and which are not there any more."""
        for name, part in parts.items():
            self._shelf(name).put({key.id: key for key in part.keys})
        for name in dropped:
            self._shelf(name).put(_NONE)
        self.is_complete = is_complete

    def read(self, text: str) -> Credential | None:
        """The parts of what a bearer sends; ``None`` when nobody can have been given this."""
        return API_KEY_TEXT.read(text)

    def shelf(self, key: Credential) -> Shelf:
        """Where this key is, if anywhere."""
        return self._shelf(part_of(key.id))

    def find(self, key: Credential, provider: str, now: float) -> tuple[ManagedKey, float | None] | None:
        """The key and until when it is good in this form (``None``: for ever); ``None`` when it is not good.

        ``now`` and the answer are seconds since the epoch. What is compared is compared in constant time.
        """
        known = self.shelf(key).current(now).get(key.id)
        if known is None or known.provider != provider or self._secret is None:
            return None
        digest = key_digest(self._secret, key)
        until = known.expires_at
        if not hmac.compare_digest(known.digest, digest):
            if known.previous_until is None or not hmac.compare_digest(known.previous_digest, digest):
                return None
            until = known.previous_until if until is None else min(until, known.previous_until)
        return None if until is not None and until <= now else (known, until)

    def _shelf(self, name: str) -> Shelf:
        shelf = self._shelves.get(name)
        if shelf is None:
            shelf = self._shelves[name] = Shelf()
        return shelf


NO_KEYS: Final = KeyBook(None)
"""Where nothing is known of them."""

"""How a credential is written that the gateway made: ``<prefix>_<id>_<secret><checksum>``, in digits and ASCII letters.

The prefix lets scanners find one that leaked, and the checksum tells a typing mistake from a credential without
looking it up. The checksum is no proof: anybody can compute it.
"""

from __future__ import annotations

import re
import secrets
import string
import zlib
from dataclasses import dataclass, field
from typing import Final

_ALPHABET: Final = string.digits + string.ascii_uppercase + string.ascii_lowercase
_ID_LENGTH: Final = 12
_SECRET_LENGTH: Final = 43
"""Characters of 62 kinds: 256 bits."""
_CHECKSUM_LENGTH: Final = 6
"""62 ** 6 is more than 2 ** 32."""


@dataclass(frozen=True, slots=True)
class Credential:
    """The parts of one."""

    id: str
    secret: str = field(repr=False)


class CredentialForm:
    """The form of one kind; ``prefix`` is what its texts begin with, in letters and digits."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        parts = (_ID_LENGTH, _SECRET_LENGTH, _CHECKSUM_LENGTH)
        identifier, secret, checksum = (f"([0-9A-Za-z]{{{length}}})" for length in parts)
        self._form = re.compile(f"{prefix}_{identifier}_{secret}{checksum}")

    def make(self, credential_id: str | None = None) -> Credential:
        """A new one, which nobody can guess; of the id that is given, where another secret is wanted for one."""
        return Credential(credential_id or _random(_ID_LENGTH), _random(_SECRET_LENGTH))

    def write(self, credential: Credential) -> str:
        """As its bearer sends it."""
        body = f"{self.prefix}_{credential.id}_{credential.secret}"
        return body + _checksum(body)

    def read(self, text: str) -> Credential | None:
        """The parts of a credential; ``None`` when this can't be one."""
        found = self._form.fullmatch(text)
        if found is None or found[3] != _checksum(text[:-_CHECKSUM_LENGTH]):
            return None
        return Credential(found[1], found[2])


def _random(length: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))


def _checksum(body: str) -> str:
    rest = zlib.crc32(body.encode())
    digits = []
    for _ in range(_CHECKSUM_LENGTH):
        rest, digit = divmod(rest, len(_ALPHABET))
        digits.append(_ALPHABET[digit])
    return "".join(reversed(digits))

"""How a token is written: ``gwt_<id>_<secret><checksum>``, in digits and ASCII letters.

The prefix lets scanners find a token that leaked, and the checksum tells a typing mistake from a token without asking
the database. The checksum is no proof: anybody can compute it.
"""

from __future__ import annotations

import re
import secrets
import string
import zlib
from dataclasses import dataclass, field

PREFIX = "gwt"
_ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
_ID_LENGTH = 12
_SECRET_LENGTH = 43
"""Characters of 62 kinds: 256 bits."""
_CHECKSUM_LENGTH = 6
"""62 ** 6 is more than 2 ** 32."""

_FORM = re.compile(
    rf"{PREFIX}_([0-9A-Za-z]{{{_ID_LENGTH}}})_([0-9A-Za-z]{{{_SECRET_LENGTH}}})([0-9A-Za-z]{{{_CHECKSUM_LENGTH}}})"
)


@dataclass(frozen=True, slots=True)
class TokenText:
    """The parts of a token."""

    id: str
    secret: str = field(repr=False)

    def write(self) -> str:
        """As its bearer sends it."""
        return f"{PREFIX}_{self.id}_{self.secret}{_checksum(self.id, self.secret)}"


def make_token() -> TokenText:
    """A new one, which nobody can guess."""
    return TokenText(_random(_ID_LENGTH), _random(_SECRET_LENGTH))


def read_token(text: str) -> TokenText | None:
    """The parts of a token; ``None`` when this can't be one."""
    found = _FORM.fullmatch(text)
    if found is None or found[3] != _checksum(found[1], found[2]):
        return None
    return TokenText(found[1], found[2])


def _random(length: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))


def _checksum(token_id: str, secret: str) -> str:
    rest = zlib.crc32(f"{PREFIX}_{token_id}_{secret}".encode())
    digits = []
    for _ in range(_CHECKSUM_LENGTH):
        rest, digit = divmod(rest, len(_ALPHABET))
        digits.append(_ALPHABET[digit])
    return "".join(reversed(digits))

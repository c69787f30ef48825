"""Where a server listens or a client connects: ``host:port`` or ``unix:/path``."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Annotated

from pydantic import BeforeValidator, PlainSerializer
from pydantic_settings import NoDecode

_HOST_PORT = re.compile(r"^(?:\[(?P<v6>[0-9a-fA-F:.]+)\]|(?P<host>[^:\[\]/\s]+)):(?P<port>\d{1,5})$")
_UNIX_PATH_LIMIT = 107  # sun_path holds 108 bytes with its terminator (unix(7))


@dataclass(frozen=True, slots=True)
class Address:
    """One socket address. Exactly one of ``path`` and ``host`` is set."""

    host: str = ""
    port: int = 0
    path: str = ""

    @property
    def is_unix(self) -> bool:
        """Whether this is a Unix domain socket."""
        return bool(self.path)

    @property
    def stays_on_machine(self) -> bool:
        """Whether traffic to this address cannot leave the machine (Unix socket or loopback)."""
        if self.is_unix or self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def __str__(self) -> str:
        if self.is_unix:
            return f"unix:{self.path}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(text: str | Address) -> Address:
    """Read ``host:port``, ``[v6]:port`` or ``unix:/absolute/path``.

    Raises:
        ValueError: the text is none of them, the port is above 65535, or the path is longer than
            a Unix socket's may be (107 bytes).
    """
    if isinstance(text, Address):
        return text
    if text.startswith("unix:"):
        path = text.removeprefix("unix:")
        if not path.startswith("/"):
            raise ValueError(f"{text!r}: a Unix socket needs an absolute path, as in unix:/run/gateway/x.sock")
        if len(path.encode()) > _UNIX_PATH_LIMIT:
            raise ValueError(f"{text!r}: a Unix socket's path has at most {_UNIX_PATH_LIMIT} bytes")
        return Address(path=path)
    match = _HOST_PORT.match(text)
    if match is None or int(match["port"]) > 65535:
        raise ValueError(f"{text!r} is not an address: write host:port, [v6]:port or unix:/path")
    return Address(host=match["v6"] or match["host"], port=int(match["port"]))


AddressSetting = Annotated[Address, NoDecode, BeforeValidator(parse_address), PlainSerializer(str)]
"""An :class:`Address` as a pydantic field, written as text: in the environment too, where a dataclass would be JSON."""

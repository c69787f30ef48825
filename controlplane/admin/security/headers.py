"""What every answer carries, and which names of this host requests may use."""

from __future__ import annotations

from collections.abc import Iterable

from starlette.types import Message, Send

from servicekit.address import Address

_ALWAYS = (
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
)


def with_security_headers(send: Send) -> Send:
    """``send``, with the headers that are not there yet."""

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = list(message.get("headers", ()))
            there = {name.lower() for name, _ in headers}
            message = {**message, "headers": [*headers, *(one for one in _ALWAYS if one[0] not in there)]}
        await send(message)

    return sending


def local_hosts(bind: Address) -> frozenset[str] | None:
    """The names by which a server on ``bind`` may be called; ``None`` for any.

    A server that only this machine reaches is called by a local name: another one comes from a page whose author made
    their own name lead here (DNS rebinding).
    """
    if bind.is_unix or not bind.stays_on_machine:
        return None
    return frozenset({"localhost", "127.0.0.1", "::1", bind.host.lower()})


def host_of(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """The host that a request is for, without its port, in lower case; empty when it names none or several."""
    given = [value for name, value in headers if name == b"host"]
    if len(given) != 1:
        return ""
    text = given[0].decode("latin-1").strip().lower()
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.partition(":")[0]

"""Server-sent events (WHATWG HTML §9.2), read from lines of bytes. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

LARGEST_EVENT = 1024 * 1024
"""Bytes of one event, or of a line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerEvent:
    """One event."""

    id: str
    """The last id that the stream gave; empty before the first."""
    kind: str
    data: str


class TooLargeEventError(Exception):
    """A line or an event has more than :data:`LARGEST_EVENT` bytes."""


@dataclass(slots=True)
class EventParser:
    """Takes bytes as they come and gives whole events.

    Lines end in CR, LF or CRLF; an event ends with an empty line; one that is cut off is no event.
    """

    last_id: str = ""
    """What ``Last-Event-ID`` says after a lost connection."""
    _line: bytearray = field(default_factory=bytearray)
    _data: list[str] = field(default_factory=list)
    _size: int = 0
    _kind: str = ""
    _id: str = ""
    _after_cr: bool = False
    _first: bool = True

    def feed(self, chunk: bytes) -> Iterator[ServerEvent]:
        """The events that ``chunk`` completes.

        Raises:
            TooLargeEventError: it never ends.
        """
        for part in chunk.splitlines(keepends=True) if chunk else ():
            yield from self._take(part)

    def _take(self, part: bytes) -> Iterator[ServerEvent]:
        """One piece of a line, with or without its end."""
        if self._after_cr and part == b"\n":
            self._after_cr = False
            return
        self._after_cr = part.endswith(b"\r")
        text = part.rstrip(b"\r\n")
        self._line += text
        if len(self._line) + self._size > LARGEST_EVENT:
            raise TooLargeEventError
        if len(text) != len(part):
            event = self._ended(self._line.decode("utf-8", errors="replace"))
            self._line.clear()
            if event is not None:
                yield event

    def _ended(self, line: str) -> ServerEvent | None:
        if self._first:
            self._first = False
            line = line.removeprefix("\ufeff")
        if not line:
            return self._dispatch()
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._data.append(value)
            self._size += len(value.encode("utf-8", errors="replace")) + 1
        elif name == "event":
            self._kind = value
        elif name == "id" and "\0" not in value:
            self._id = value
        return None

    def _dispatch(self) -> ServerEvent | None:
        self.last_id = self._id
        data, kind = self._data, self._kind
        self._data, self._kind, self._size = [], "", 0
        if not data:
            return None
        return ServerEvent(id=self.last_id, kind=kind or "message", data="\n".join(data))

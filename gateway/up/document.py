"""What a run has to know of its document before anything starts: that it is right, and where it listens."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.errors import CommandError
from gateway.up.listening import Claim
from servicekit.address import Address

if TYPE_CHECKING:
    from controlplane.model import Gateway, Route


@dataclass(frozen=True, slots=True)
class Outline:
    """The document, as far as a run cares."""

    listeners: tuple[Claim, ...]
    open_path: str | None = None
    """A path that people can try without a token."""
    guarded_path: str | None = None
    """A path that people can try with a token."""


def without_document(listen_address: str, port: int) -> Outline:
    """One listener, and everything goes to the backend."""
    listener = Claim(Address(host=listen_address, port=port), "the listener", "GATEWAY_PORT")
    return Outline((listener,), open_path="/hello")


def read_outline(file: Path, listen_address: str) -> Outline:
    """Read and check a document.

    Raises:
        CommandError: it can't be read, or has mistakes; all of them are named.
    """
    gateway = _resolved(file, listen_address)
    return Outline(
        tuple(
            Claim(
                Address(host=listener.address, port=listener.port),
                f"listener {listener.name!r}",
                f"the port of that listener in {file}",
            )
            for listener in gateway.listeners
        ),
        open_path=_example(route for route in gateway.routes if not route.authenticate),
        guarded_path=_example(route for route in gateway.routes if route.authenticate),
    )


def _resolved(file: Path, listen_address: str) -> Gateway:
    from controlplane.config import ConfigError, load_document
    from controlplane.resolve import resolve
    from controlplane.sources import read_source

    source = read_source(file)
    if isinstance(source, str):
        raise CommandError(f"{file}: {source}")
    try:
        return resolve(load_document(source, origin=str(file)), listen_address=listen_address)
    except ConfigError as error:
        raise CommandError(f"nothing was started, for the document has mistakes:\n{error}") from error


def _example(routes: Iterable[Route]) -> str | None:
    """A path that the first of the routes takes which a plain ``curl`` can reach."""
    for route in routes:
        match = route.match
        reachable = match.hosts == ("*",) and not match.headers and (not match.methods or "GET" in match.methods)
        if reachable and match.path.kind == "prefix":
            return match.path.value.rstrip("/") + "/hello"
        if reachable and match.path.kind == "exact":
            return match.path.value
    return None

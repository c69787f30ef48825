"""Asks the ext_authz services which keys they verify with: all at once, each with a deadline."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import httpx

from servicekit.contracts.base import ContractError
from servicekit.contracts.key_report import KEY_REPORT_PATH, KeyReport

DEADLINE: Final = 2.0
"""Seconds that a service has for everything, its name included."""
LARGEST_REPORT: Final = 4 * 1024 * 1024
"""Bytes."""
MOST_SERVICES: Final = 100
"""Services asked; of a name that has more addresses the rest is left out."""


@dataclass(frozen=True, slots=True)
class Answered:
    """One service, and what it said."""

    service: str
    """Its URL; with the IP address in it where it was asked by a name that has several."""
    report: KeyReport | None
    error: str | None
    """Why there is no report."""


class AuthServices:
    """Every ext_authz that ``targets`` lead to: URLs of their health and metrics, without a path.

    A name with several addresses is as many services, as behind a headless Service of Kubernetes.
    """

    def __init__(self, targets: Sequence[str], *, client: httpx.AsyncClient, deadline: float = DEADLINE) -> None:
        self._targets = tuple(targets)
        self._client = client
        self._deadline = deadline

    async def keys(self) -> list[Answered]:
        """What each of them says, in the order of the targets. Who does not answer is in it too."""
        found = await asyncio.gather(*(self._of_target(target) for target in self._targets))
        return [answered for some in found for answered in some][:MOST_SERVICES]

    async def _of_target(self, target: str) -> list[Answered]:
        try:
            async with asyncio.timeout(self._deadline):
                urls = await _addresses(httpx.URL(target))
                return list(await asyncio.gather(*(self._ask(url, named=target) for url in urls[:MOST_SERVICES])))
        except (OSError, httpx.InvalidURL) as error:
            # TimeoutError, which asyncio raises, is an OSError.
            slow = isinstance(error, TimeoutError)
            return [Answered(target, None, _too_slow(self._deadline) if slow else f"not found: {error}")]

    async def _ask(self, url: httpx.URL, *, named: str) -> Answered:
        name = str(url)
        headers = {"host": httpx.URL(named).netloc.decode()}
        try:
            async with asyncio.timeout(self._deadline * 0.9):
                return Answered(name, KeyReport.decode(await self._read(url, headers)), None)
        except TimeoutError:
            return Answered(name, None, _too_slow(self._deadline * 0.9))
        except ContractError:
            return Answered(name, None, "it does not answer as an ext_authz of this version does")
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            return Answered(name, None, f"{type(error).__name__}: {error}".rstrip(": "))

    async def _read(self, url: httpx.URL, headers: dict[str, str]) -> bytes:
        body = bytearray()
        request = self._client.stream("GET", url.copy_with(path=KEY_REPORT_PATH), headers=headers)
        async with request as response:
            if response.status_code != httpx.codes.OK:
                raise httpx.ProtocolError(f"answered {response.status_code}")
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > LARGEST_REPORT:
                    raise httpx.ProtocolError(f"answered with more than {LARGEST_REPORT} bytes")
        return bytes(body)


async def _addresses(url: httpx.URL) -> list[httpx.URL]:
    """The URL with each address of its host; as it is when that has one."""
    found = await asyncio.get_running_loop().getaddrinfo(url.host, url.port, type=socket.SOCK_STREAM)
    hosts = sorted({str(address[0]) for *_, address in found})
    return [url] if len(hosts) == 1 else [url.copy_with(host=host) for host in hosts]


def _too_slow(seconds: float) -> str:
    return f"no answer within {seconds:g} s"

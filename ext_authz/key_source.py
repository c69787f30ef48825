"""Keeps the keys of one issuer fresh: background refresh, one fetch at a time, fetches on demand within a bound."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Final

import structlog

from ext_authz.errors import KeyFetchError, KeySetError
from ext_authz.key_fetcher import FetchKeys
from ext_authz.key_loader import load_keys
from ext_authz.key_state import Demand, KeyState
from ext_authz.rules import KeySource
from servicekit.secret_reference import NO_SECRETS, Secrets

MAX_WAITING: Final = 256
"""Requests of one issuer that wait for a fetch at a time; more are answered at once."""

_log = structlog.get_logger(__name__)


class KeyRefresher:
    """Feeds one :class:`KeyState` from a :class:`FetchKeys`, or from a file among ``secrets``."""

    def __init__(
        self,
        source: KeySource,
        *,
        fetcher: FetchKeys,
        clock: Callable[[], float],
        count: Callable[[str, str], None],
        secrets: Secrets = NO_SECRETS,
    ) -> None:
        self.state = KeyState(source)
        self._fetcher = fetcher
        self._secrets = secrets
        self._clock = clock
        self._count = count
        self._flight: asyncio.Task[None] | None = None
        self._waiting = 0

    async def run(self) -> None:
        """Fetch ahead of expiry, for ever; cancelled, it takes a fetch that is under way with it."""
        try:
            await self._refresh_for_ever()
        finally:
            await self.stop()

    async def _refresh_for_ever(self) -> None:
        while True:
            pause = self.state.seconds_until_refresh(self._clock(), random.random())  # noqa: S311 -- spreads load, guards nothing
            if pause > 0:
                # An on-demand fetch may move the moment meanwhile: look again at least once a minute.
                await asyncio.sleep(min(pause, 60.0))
            else:
                await self._fetch_once()

    async def obtain(self, kid: str | None, *, patience: float) -> Demand:
        """Try to get the key ``kid`` (``None``: any key at all) within ``patience`` seconds.

        Returns what is known afterwards: :attr:`Demand.FETCH` when the keys are worth another look.
        """
        if self._flight is None:
            demand = self.state.demand(kid, self._clock())
            if demand is not Demand.FETCH:
                return demand
        if self._waiting >= MAX_WAITING:
            return Demand.UNREACHABLE
        self._waiting += 1
        try:
            landed = await self._fetch_once(patience)
        finally:
            self._waiting -= 1
        return self._outcome(kid) if landed else Demand.UNREACHABLE

    def _outcome(self, kid: str | None) -> Demand:
        now = self._clock()
        key_set = self.state.current(now)
        if not self.state.reachable or key_set is None or not key_set.keys:
            return Demand.UNREACHABLE
        if not key_set.knows(kid):
            self.state.note_absent(kid or "", now)
            return Demand.ABSENT
        return Demand.FETCH

    async def _fetch_once(self, patience: float | None = None) -> bool:
        """Join the fetch that is under way, or begin one; whether it ended within ``patience`` seconds.

        Who gives up waiting does not end it for the others. No ``asyncio.timeout``: when it expires in the turn in
        which the fetch ends, Python 3.11 leaves a cancellation behind, which would end the check.
        """
        if self._flight is None:
            self._flight = asyncio.create_task(self._fetch(), name=f"fetch keys of {self.state.source.provider}")
            self._flight.add_done_callback(self._landed)
        flight = self._flight
        landed, _ = await asyncio.wait([flight], timeout=patience)
        if landed and not flight.cancelled():
            flight.result()
        return bool(landed)

    def _landed(self, _flight: asyncio.Task[None]) -> None:
        self._flight = None

    async def _fetch(self) -> None:
        source = self.state.source
        try:
            key_set = await load_keys(source, fetcher=self._fetcher, secrets=self._secrets)
        except (KeyFetchError, KeySetError) as error:
            self._failed(str(error))
            return
        self._count(source.provider, "success")
        if self.state.succeeded(key_set, self._clock()):
            _log.info(
                "keys replaced",
                provider=source.provider,
                kids=[key.kid for key in key_set.keys],
                skipped=[f"{skipped.position}: {skipped.why}" for skipped in key_set.skipped],
            )

    def _failed(self, error: str) -> None:
        source = self.state.source
        if not source.reference or error != self.state.last_error:  # a file is looked at every second: say it once
            _log.warning("keys not fetched", provider=source.provider, error=error)
        self.state.failed(error, self._clock())
        self._count(source.provider, "failure")

    async def stop(self) -> None:
        """End a fetch that is under way."""
        flight = self._flight
        if flight is not None:
            flight.cancel()
            await asyncio.gather(flight, return_exceptions=True)

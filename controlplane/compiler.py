"""From a document's text to what nodes would get, with every mistake named on the way."""

from __future__ import annotations

from typing import NamedTuple

import structlog

from controlplane.config import GatewayConfig, Problem, load_document
from controlplane.config.references import unused
from controlplane.model import Gateway
from controlplane.preflight import Constraints, EnvoyPreflight, PreflightUnavailableError, check_groups
from controlplane.preflight.release import Judge
from controlplane.resolve import resolve
from controlplane.translate import Release, translate_release

_log = structlog.get_logger(__name__)


class Compiled(NamedTuple):
    """What a document means, and what nodes would get."""

    gateway: Gateway
    release: Release
    warnings: tuple[Problem, ...] = ()
    """What is allowed and perhaps not meant."""


class Compiler:
    """Says what documents mean on this gateway. Every method blocks.

    Args:
        preflight: asks the real Envoy; ``None`` where there is no binary.
        listen_address: IP address of listeners that name none.
    """

    def __init__(self, *, preflight: EnvoyPreflight | None, listen_address: str) -> None:
        self._preflight = preflight
        self._constraints = Constraints()
        self._listen_address = listen_address

    @property
    def asks_envoy(self) -> bool:
        """Whether what Envoy would refuse is found here."""
        return self._preflight is not None

    def compile(self, document: GatewayConfig) -> Compiled:
        """What ``document`` means on this gateway, held against Envoy's constraints and shown to Envoy.

        Raises:
            ConfigError: its parts don't fit together, or Envoy refuses what it becomes.
        """
        compiled = self.translate(document)
        for judge in (self._constraints, self._preflight):
            if judge is not None:
                self._show(judge, document, compiled)
        return compiled

    def _show(self, judge: Judge, document: GatewayConfig, compiled: Compiled) -> None:
        groups = compiled.release.groups
        try:
            check_groups(judge, document, groups, lambda other: self.translate(other).release.groups)
        except PreflightUnavailableError as error:
            _log.warning("a snapshot goes live without having been shown to Envoy", reason=str(error))

    def translate(self, document: GatewayConfig) -> Compiled:
        """What ``document`` means, without asking Envoy: it was live once, or will not be.

        Raises:
            ConfigError: its parts don't fit together.
        """
        gateway = resolve(document, listen_address=self._listen_address)
        return Compiled(gateway, translate_release(gateway), unused(document))

    def recall(self, text: bytes, origin: str) -> Compiled:
        """:meth:`translate` of the text of a document that was live once.

        Raises:
            ConfigError: as there, or it cannot be read.
        """
        return self.translate(load_document(text, origin=origin))

    def load(self, text: bytes, origin: str) -> tuple[GatewayConfig, Compiled]:
        """Read a document and say what it means; ``origin`` is what problems call it.

        Raises:
            ConfigError: as :meth:`compile`, or it cannot be read.
        """
        document = load_document(text, origin=origin)
        return document, self.compile(document)

"""What the demo processes can be told from outside."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from servicekit.address import Address, AddressSetting
from servicekit.settings import ProcessSettings

Algorithm = Literal["ES256", "RS256", "EdDSA"]


class DemoBackendSettings(ProcessSettings):
    """Settings of ``gateway demo backend``."""

    demo_backend_bind: AddressSetting = Address(host="127.0.0.1", port=8048)
    """Where the demo backend listens."""


class DemoIdpSettings(ProcessSettings):
    """Settings of ``gateway demo identity-provider``."""

    demo_idp_bind: AddressSetting = Address(host="127.0.0.1", port=8049)
    """Where the demo identity provider listens."""

    demo_idp_issuer: str | None = None
    """``iss`` of its tokens; without it ``http://127.0.0.1:PORT`` with the port that it listens on."""

    demo_idp_audience: str = Field(default="quickstart", min_length=1)
    """``aud`` of its tokens."""

    demo_idp_algorithm: Algorithm = "ES256"
    """What it signs with."""

    @property
    def issuer(self) -> str:
        """``iss`` of the tokens."""
        return self.demo_idp_issuer or f"http://127.0.0.1:{self.demo_idp_bind.port}"

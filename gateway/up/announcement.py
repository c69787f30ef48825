"""What people read when everything is up: where things are, and lines to paste into another terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from gateway.http_client import reachable
from gateway.up.document import Outline
from gateway.up.settings import UpSettings
from servicekit.address import Address


@dataclass(frozen=True, slots=True, kw_only=True)
class Announcement:
    """The figures of one run."""

    settings: UpSettings
    outline: Outline
    demo: bool
    token_file: Path | None
    """Where the admin token is that was made for this run."""
    command: str
    """How people call this command."""

    def addresses(self) -> Iterator[tuple[str, str]]:
        """What there is, and where."""
        for claim in self.outline.listeners:
            yield "gateway", _url(claim.address)
        yield "admin API", _url(self.settings.admin_bind)
        yield "metrics", f"{_url(self.settings.admin_bind)}/metrics"
        yield "Envoy's health", f"{_url(self.settings.envoy_health_bind)}/health/ready"
        if self.demo:
            yield "demo backend", _url(self.settings.demo_backend_bind)
            yield "demo identity provider", _url(self.settings.demo_idp_bind)
        if self.token_file is not None:
            yield "admin token", str(self.token_file)

    def lines(self) -> Sequence[str]:
        """Shell lines that show it at work."""
        gateway = _url(self.outline.listeners[0].address) if self.outline.listeners else ""
        lines = [f"curl -i {gateway}{self.outline.open_path or '/health'}"]
        if self.outline.guarded_path is not None:
            lines.append(f"curl -i {gateway}{self.outline.guarded_path}")
        if self.demo and self.outline.guarded_path is not None:
            lines.append(f"TOKEN=$({self.command} demo token --sub alice)")
            lines.append(f'curl -i -H "Authorization: Bearer $TOKEN" {gateway}{self.outline.guarded_path}')
        return [*lines, f"curl -s {_url(self.settings.admin_bind)}/metrics | grep ^gateway_"]


def render(announcement: Announcement, *, seconds: float) -> str:
    """The announcement as plain text."""
    addresses = list(announcement.addresses())
    width = max(len(name) for name, _ in addresses)
    table = [f"  {name:<{width}}  {where}" for name, where in addresses]
    lines = [f"  {line}" for line in announcement.lines()]
    blocks = [[f"The gateway is up ({seconds:.1f} s)."], table, ["In another terminal:"], lines, ["Ctrl-C stops it."]]
    return "\n" + "\n\n".join("\n".join(block) for block in blocks) + "\n"


def _url(address: Address) -> str:
    return f"http://{reachable(address)}"

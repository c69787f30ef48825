"""``gateway demo``: what one needs to try the gateway, and nothing for production."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from gateway.cli.durations import parse_duration
from gateway.errors import CommandError

Bind = Annotated[str | None, typer.Option(help="host:port to listen on, in place of the setting.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    group = typer.Typer(
        help="A backend, an identity provider and tokens to try the gateway with.", no_args_is_help=True
    )
    group.command()(token)
    group.command()(backend)
    group.command("identity-provider")(identity_provider)
    app.add_typer(group, name="demo")


def token(
    sub: Annotated[str, typer.Option(help="Whom the token is for.")],
    expires_in: Annotated[str, typer.Option(help="Lifetime, as in 90s or 5m; negative: expired already.")] = "5m",
    claim: Annotated[list[str] | None, typer.Option(help="One more claim, as in role=admin; repeatable.")] = None,
    issuer: Annotated[str | None, typer.Option(help="URL of the demo identity provider.")] = None,
) -> None:
    """Print a token from the demo identity provider."""
    from gateway.demo.settings import DemoIdpSettings
    from gateway.demo.token_client import fetch_token
    from servicekit.settings import load_settings

    # The issuer may be a name of some other network; the port is where the provider listens on this machine.
    url = issuer or f"http://127.0.0.1:{load_settings(DemoIdpSettings).demo_idp_bind.port}"
    claims = dict(parse_claim(text) for text in claim or ())
    typer.echo(fetch_token(url, sub=sub, expires_in=parse_duration(expires_in), claims=claims))


def backend(bind: Bind = None) -> None:
    """Run a backend that answers with what it received."""
    from gateway.demo.backend import main

    main(bind)


def identity_provider(
    bind: Bind = None,
    algorithm: Annotated[str | None, typer.Option(help="ES256, RS256 or EdDSA.")] = None,
) -> None:
    """Run an identity provider that gives tokens to whoever asks on this machine."""
    from gateway.demo.identity_provider import main

    main(bind, algorithm)


def parse_claim(text: str) -> tuple[str, object]:
    """A claim from ``name=value``: JSON where the value is JSON (``level=3``), else text.

    Raises:
        CommandError: there is no name or no ``=``.
    """
    name, separator, value = text.partition("=")
    if not name or not separator:
        raise CommandError(f"{text!r} is not a claim: write name=value")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value

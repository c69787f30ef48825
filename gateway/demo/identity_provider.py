"""An identity provider that vouches for anyone. For demonstration and tests only: it gives tokens to whoever asks.

It gives them to callers on the same machine alone, and its keys are gone when it stops.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Awaitable, Callable
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from gateway.demo.keys import KeyRing
from gateway.demo.settings import DemoIdpSettings
from servicekit.health import Health
from servicekit.http import HttpServer, health_routes
from servicekit.logs import configure_logging
from servicekit.problems import MEDIA_TYPE, problem
from servicekit.serving import Process, run
from servicekit.settings import load_settings

JWKS_PATH = "/.well-known/jwks.json"
_LARGEST_REQUEST = 64 * 1024


class TokenRequest(BaseModel):
    """What ``POST /token`` takes."""

    model_config = ConfigDict(extra="forbid")

    sub: str = Field(min_length=1)
    """Whom the token is for."""
    expires_in: float = Field(default=300.0, ge=-86_400, le=86_400)
    """Seconds; negative for a token that has expired already."""
    claims: dict[str, Any] = Field(default_factory=dict)
    """More claims; they win over the provider's own."""


def identity_provider(*, issuer: str, audience: str, keys: KeyRing, health: Health) -> Starlette:
    """The application: keys, discovery document, tokens, rotation."""

    async def jwks(_request: Request) -> Response:
        return JSONResponse(keys.jwks(), headers={"cache-control": "public, max-age=60"})

    async def discovery(_request: Request) -> Response:
        return JSONResponse(_discovery(issuer))

    async def token(request: Request) -> Response:
        if not _is_local(request):
            return _refusal(403, "not-local", "Tokens are for callers on the same machine.")
        if not 0 <= int(request.headers.get("content-length", "-1")) <= _LARGEST_REQUEST:
            return _refusal(413, "too-large", f"A request says its length, of at most {_LARGEST_REQUEST} bytes.")
        try:
            wanted = TokenRequest.model_validate_json(await request.body())
        except ValidationError as error:
            return _refusal(422, "invalid-request", str(error.errors()[0]["msg"]))
        claims = {"iss": issuer, "aud": audience, "sub": wanted.sub, **wanted.claims}
        signed = keys.sign(claims, lifetime=wanted.expires_in)
        return JSONResponse(
            {"access_token": signed, "token_type": "Bearer", "expires_in": wanted.expires_in},
            headers={"cache-control": "no-store"},
        )

    async def rotate(request: Request) -> Response:
        if not _is_local(request):
            return _refusal(403, "not-local", "Keys are rotated from the same machine.")
        return JSONResponse({"kid": keys.rotate()})

    own: list[BaseRoute] = [
        Route(JWKS_PATH, jwks),
        Route("/.well-known/openid-configuration", discovery),
        Route("/token", token, methods=["POST"]),
        Route("/rotate", rotate, methods=["POST"]),
    ]
    return Starlette(routes=[*own, *health_routes(health)])


def _discovery(issuer: str) -> dict[str, Any]:
    """As much of an OpenID provider's metadata (OpenID Connect Discovery 1.0 §3) as is true here."""
    return {
        "issuer": issuer,
        "jwks_uri": f"{issuer}{JWKS_PATH}",
        "token_endpoint": f"{issuer}/token",
        "response_types_supported": ["token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256", "RS256", "EdDSA"],
    }


def _is_local(request: Request) -> bool:
    try:
        return request.client is not None and ipaddress.ip_address(request.client.host).is_loopback
    except ValueError:
        return False


def _refusal(status: int, code: str, detail: str) -> Response:
    return Response(problem(status, code, detail), status, media_type=MEDIA_TYPE)


def builder(settings: DemoIdpSettings) -> Callable[[], Awaitable[Process]]:
    """What :func:`servicekit.serving.run` runs."""

    async def build() -> Process:
        health = Health()
        keys = KeyRing(settings.demo_idp_algorithm)
        app = identity_provider(issuer=settings.issuer, audience=settings.demo_idp_audience, keys=keys, health=health)
        return Process(
            health=health, http=HttpServer(app, settings.demo_idp_bind), drain_seconds=settings.drain_seconds
        )

    return build


def main(bind: str | None = None, algorithm: str | None = None) -> None:
    """Run the demo identity provider; the arguments win over the environment."""
    settings = load_settings(DemoIdpSettings, demo_idp_bind=bind, demo_idp_algorithm=algorithm)
    configure_logging(service="demo-identity-provider", level=settings.log_level)
    run(builder(settings))

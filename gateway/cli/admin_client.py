"""Asking the admin API: where it is, with which token, and what its refusals say to a person."""

from __future__ import annotations

import json
import os
import tempfile
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer
from pydantic import SecretStr

from gateway.errors import CommandError
from servicekit.settings import ProcessSettings, load_settings

_DEADLINE = 30.0
"""Seconds. A difference makes the control plane compile two documents."""


class Output(StrEnum):
    """Who reads the answer."""

    TEXT = "text"
    JSON = "json"


Format = Annotated[Output, typer.Option("--output", help="For people, or for programs.")]


class AdminClientSettings(ProcessSettings):
    """How to reach the admin API."""

    admin_url: str = "http://127.0.0.1:8001"
    """Where the admin API is."""

    admin_token: SecretStr | None = None
    """Its bearer token. Without it, and without another URL, that of your newest ``gateway up`` on this machine."""


def plain(value: object) -> str:
    """Text that cannot move the cursor of a terminal."""
    return "".join(character if character.isprintable() else " " for character in str(value))


def print_json(value: object) -> None:
    """For programs."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False))


def get(path: str, **query: int) -> Any:
    """The answer to ``GET /api/v1{path}``.

    Raises:
        CommandError: nobody answers, or the answer is a refusal.
    """
    settings = load_settings(AdminClientSettings)
    token = _token(settings)
    headers = {"authorization": f"Bearer {token}"} if token else {}
    try:
        response = httpx.get(
            f"{settings.admin_url.rstrip('/')}/api/v1{path}", params=query, headers=headers, timeout=_DEADLINE
        )
        answer = response.json()
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise CommandError(f"the admin API at {settings.admin_url} does not answer: {error}") from error
    except ValueError as error:
        raise CommandError(f"what answers at {settings.admin_url} is not the admin API") from error
    if not response.is_success:
        raise CommandError(_refusal(answer, response.status_code))
    return answer


def _refusal(answer: object, status: int) -> str:
    problem = answer if isinstance(answer, dict) else {}
    lines = [str(problem.get("detail", f"the admin API answered {status}"))]
    lines += [
        f"{one.get('where', '')}: {one.get('message', one.get('detail', ''))}" for one in problem.get("errors", [])
    ]
    return "\n".join(plain(line) for line in lines)


def _token(settings: AdminClientSettings) -> str:
    if settings.admin_token is not None:
        return settings.admin_token.get_secret_value()
    # The token of a run on this machine is no other server's business.
    return "" if "admin_url" in settings.model_fields_set else _token_of_this_machine()


def _token_of_this_machine() -> str:
    """The token that ``gateway up`` made; empty when none runs."""
    bases = {Path(base) for base in (os.environ.get("XDG_RUNTIME_DIR"), tempfile.gettempdir(), "/tmp") if base}  # noqa: S108  only own files are read
    files = [file for base in bases for file in base.glob("gateway-up-*/admin-token")]
    try:
        own = [(stat.st_mtime, file) for file in files if (stat := file.stat()).st_uid == os.getuid()]
        return max(own)[1].read_text() if own else ""
    except OSError:
        # The run ended between looking and reading, or the folder is another user's.
        return ""

"""Which gateway is asked, with which token: option, environment, current context, or the run on this machine."""

from __future__ import annotations

import ipaddress
import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import SecretStr

from gateway.cli.context_file import Context, context_path, read_contexts
from gateway.errors import CommandError
from servicekit.settings import ProcessSettings, load_settings

DEFAULT_URL = "http://127.0.0.1:8001"
UNIX = "unix:"

RUN_FOLDERS = ("/tmp",)  # noqa: S108  only own files are read there
"""Where ``gateway up`` makes its folder when the usual places have too long names."""

_LARGEST_TOKEN = 64 * 1024


class AdminClientSettings(ProcessSettings):
    """How commands reach the admin API."""

    context: str | None = None
    """The context to use, of those that ``gateway context`` keeps. It wins over the other settings here."""

    admin_url: str = DEFAULT_URL
    """Where the admin API is: ``http://``, ``https://`` or ``unix:/path``."""

    admin_token: SecretStr | None = None
    """Its bearer token."""

    admin_ca: Path | None = None
    """Authorities to trust for ``https://``, in place of the machine's."""

    admin_client_certificate: Path | None = None
    """The certificate to show to an admin API that asks for one."""

    admin_client_key: Path | None = None
    """Its private key, when that is in another file."""

    insecure_network: bool = False
    """Allow the token to leave the machine without TLS, for networks that encrypt by themselves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One admin API, and who asks."""

    url: str
    origin: str
    """What named it, for people."""
    token: SecretStr = field(default_factory=lambda: SecretStr(""))
    ca: Path | None = None
    client_certificate: Path | None = None
    client_key: Path | None = None


def find_target(context: str | None) -> Target:
    """The admin API that is meant.

    Args:
        context: the name that ``--context`` gave. Without one the environment decides, then the current context, then
            the newest ``gateway up`` of this user on this machine.

    Raises:
        CommandError: there is no such context, its token cannot be had, or the token would leave the machine in clear.
    """
    settings = load_settings(AdminClientSettings)
    name = context or settings.context
    if name is None and settings.model_fields_set & {"admin_url", "admin_token"}:
        return _of_environment(settings)
    contexts = read_contexts(context_path())
    name = name or contexts.current
    if name is not None:
        return of_context(name, contexts.find(name))
    return _of_this_machine()


def of_context(name: str, context: Context) -> Target:
    """The target that a context describes.

    Raises:
        CommandError: its token cannot be had, or would leave the machine in clear.
    """
    target = Target(
        url=context.url,
        origin=f"context {name}",
        token=context.token or read_token(context.token_from),
        ca=context.ca,
        client_certificate=context.client_certificate,
        client_key=context.client_key,
    )
    return _checked(target, insecure=context.insecure_network)


def read_token(reference: str | None) -> SecretStr:
    """The token that ``env:NAME`` or ``file:PATH`` refers to; empty without a reference.

    Raises:
        CommandError: there is none.
    """
    kind, _, place = (reference or "").partition(":")
    if kind == "env":
        token = os.environ.get(place, "")
        if not token:
            raise CommandError(f"the environment has no {place}, from where this context takes its token")
    elif kind == "file":
        try:
            with Path(place).expanduser().open("rb") as file:
                token = file.read(_LARGEST_TOKEN).decode("ascii").strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "this is no token"
            raise CommandError(f"{place}: {reason}") from None
    else:
        token = ""
    return SecretStr(token)


def stays_on_machine(url: str) -> bool:
    """Whether what is sent to ``url`` cannot leave the machine.

    Raises:
        CommandError: it is none of ``http://``, ``https://`` and ``unix:/path``.
    """
    if url.startswith(f"{UNIX}/"):
        return True
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host, parts = None, urlsplit("")
    if parts.scheme not in {"http", "https"} or not host or parts.username or parts.query or parts.fragment:
        raise CommandError("the address of an admin API looks like https://host:8001, http://127.0.0.1:8001 or unix:/p")
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _checked(target: Target, *, insecure: bool) -> Target:
    on_machine = stays_on_machine(target.url)
    clear = target.url.startswith("http://") and not on_machine
    if clear and not insecure and target.token.get_secret_value():
        raise CommandError(
            f"the token of {target.origin} would go to {target.url} in clear: use https://, or say that the network "
            "encrypts by itself (--insecure-network of the context, or GATEWAY_INSECURE_NETWORK=true)"
        )
    token = target.token.get_secret_value()
    if not token.isascii() or not token.isprintable():
        raise CommandError(f"the token of {target.origin} has characters that no token has")
    return target


def _of_environment(settings: AdminClientSettings) -> Target:
    token = settings.admin_token
    if token is None:
        token = SecretStr("")  # the token of a run on this machine is no other server's business
    target = Target(
        url=settings.admin_url,
        origin="the environment",
        token=token,
        ca=settings.admin_ca,
        client_certificate=settings.admin_client_certificate,
        client_key=settings.admin_client_key,
    )
    return _checked(target, insecure=settings.insecure_network)


def _of_this_machine() -> Target:
    """The newest run of ``gateway up``; where none is, its usual address without a token."""
    for folder in _runs():
        try:
            url_file = folder / "admin-url"
            url = url_file.read_text() if url_file.exists() else DEFAULT_URL
            token = SecretStr((folder / "admin-token").read_text())
        except OSError:
            continue  # the run ended between looking and reading
        return _checked(Target(url=url, origin="gateway up on this machine", token=token), insecure=False)
    return Target(url=DEFAULT_URL, origin="this machine")


def _runs() -> list[Path]:
    """Folders of runs of this user that made a token, newest first."""
    bases = {Path(base) for base in (os.environ.get("XDG_RUNTIME_DIR"), tempfile.gettempdir(), *RUN_FOLDERS) if base}
    found: list[tuple[float, Path]] = []
    for base in bases:
        for folder in base.glob("gateway-up-*"):
            try:
                about = folder.lstat()
                made = (folder / "admin-token").lstat()
            except OSError:
                continue  # another user's, or over
            if about.st_uid == made.st_uid == os.getuid():
                found.append((made.st_mtime, folder))
    return [folder for _, folder in sorted(found, reverse=True)]

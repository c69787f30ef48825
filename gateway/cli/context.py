"""``gateway context``: several gateways by name."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.output import Format, Output, Rows, show

Name = Annotated[str, typer.Argument(help="The name of a context.", metavar="NAME")]


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    group = typer.Typer(help="Keep several gateways by name, and say which one is meant.", no_args_is_help=True)
    group.command()(add)
    group.command("list")(list_contexts)
    group.command()(use)
    group.command()(remove)
    app.add_typer(group, name="context")


def add(
    name: Name,
    url: Annotated[str, typer.Option(help="Where its admin API is: https://host:8001, or unix:/path.")],
    token_from: Annotated[
        str | None, typer.Option(help="Where its token is, read at each use: env:NAME or file:PATH.", metavar="WHERE")
    ] = None,
    token_stdin: Annotated[
        bool, typer.Option("--token-stdin", help="Read its token from standard input, and keep it in the file.")
    ] = False,
    ca: Annotated[Path | None, typer.Option(help="Authorities to trust, in place of the machine's.")] = None,
    client_certificate: Annotated[Path | None, typer.Option(help="The certificate to show (PEM).")] = None,
    client_key: Annotated[Path | None, typer.Option(help="Its private key, when that is in another file.")] = None,
    insecure_network: Annotated[
        bool, typer.Option("--insecure-network", help="Let the token leave this machine without TLS.")
    ] = False,
    use_it: Annotated[bool, typer.Option("--use", help="Make it the current one.")] = False,
) -> None:
    """Add a gateway, or replace the one of that name. A token is never an argument: others could see it."""
    from pydantic import SecretStr, ValidationError

    from gateway.cli.context_file import NAME, Context, context_path, read_contexts, write_contexts
    from gateway.cli.target import of_context, stays_on_machine
    from gateway.errors import CommandError

    if NAME.fullmatch(name) is None:
        raise CommandError("a name has letters, digits, dots, hyphens and underscores, at most 63")
    if token_stdin and token_from is not None:
        raise CommandError("a token is either in the file or somewhere else: --token-stdin or --token-from")
    stays_on_machine(url)
    try:
        made = Context(
            url=url,
            token=SecretStr(_token_of_standard_input()) if token_stdin else None,
            token_from=_absolute_reference(token_from),
            ca=_absolute(ca),
            client_certificate=_absolute(client_certificate),
            client_key=_absolute(client_key),
            insecure_network=insecure_network,
        )
    except ValidationError as error:
        raise CommandError(f"{error.errors()[0]['loc'][0]}: write env:NAME or file:PATH") from None
    if token_stdin:
        of_context(name, made)  # a token that may not go there is not kept either
    path = context_path()
    known = read_contexts(path)
    current = name if use_it else known.current
    write_contexts(path, known.model_copy(update={"contexts": {**known.contexts, name: made}, "current": current}))
    typer.echo(f"{name}: kept{', and current' if current == name else ''}")


def list_contexts(output: Format = Output.TEXT) -> None:
    """List the gateways; tokens are not shown."""
    from gateway.cli.context_file import context_path, read_contexts

    known = read_contexts(context_path())
    rows = [
        {
            "name": name,
            "current": name == known.current,
            "url": one.url,
            "token": one.token_from or ("kept here" if one.token is not None else None),
            "ca": str(one.ca) if one.ca else None,
            "client_certificate": str(one.client_certificate) if one.client_certificate else None,
            "insecure_network": one.insecure_network,
        }
        for name, one in sorted(known.contexts.items())
    ]
    titles = ("", "name", "url", "token", "ca", "client certificate")
    cells = [
        ("*" if row["current"] else "", row["name"], row["url"], row["token"], row["ca"], row["client_certificate"])
        for row in rows
    ]
    show(rows, output, lambda _: Rows(titles, cells, empty="no contexts: gateway context add NAME --url URL"))


def use(name: Name) -> None:
    """Make a gateway the current one: the one that is meant when none is named."""
    from gateway.cli.context_file import context_path, read_contexts, write_contexts

    path = context_path()
    known = read_contexts(path)
    known.find(name)
    write_contexts(path, known.model_copy(update={"current": name}))
    typer.echo(f"{name}: current")


def remove(name: Name) -> None:
    """Forget a gateway, and its token if that was kept here."""
    from gateway.cli.context_file import context_path, read_contexts, write_contexts

    path = context_path()
    known = read_contexts(path)
    known.find(name)
    left = {other: one for other, one in known.contexts.items() if other != name}
    current = None if known.current == name else known.current
    write_contexts(path, known.model_copy(update={"contexts": left, "current": current}))
    typer.echo(f"{name}: removed")


def _token_of_standard_input() -> str:
    import getpass

    from gateway.errors import CommandError

    token = getpass.getpass("token: ") if sys.stdin.isatty() else sys.stdin.readline()
    if not token.strip():
        raise CommandError("standard input has no token")
    return token.strip()


def _absolute(path: Path | None) -> Path | None:
    return path.expanduser().absolute() if path is not None else None


def _absolute_reference(reference: str | None) -> str | None:
    """A reference that means the same in another working directory."""
    if reference is None or not reference.startswith("file:"):
        return reference
    return f"file:{Path(reference.removeprefix('file:')).expanduser().absolute()}"

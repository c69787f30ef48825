"""Every command, its module and its one line of help. Only the module of the command that is run is imported."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass

import typer


@dataclass(frozen=True, slots=True)
class Command:
    """One command, or one group of commands."""

    name: str
    module: str
    """Has ``register(app)``, which adds this command and perhaps others."""
    help: str
    """The first line of the command's own help."""


COMMANDS = (
    Command("up", "gateway.cli.up", "Run the whole gateway on this machine, until Ctrl-C."),
    Command("validate", "gateway.cli.document", "Check a document: every mistake with its line and column."),
    Command(
        "schema",
        "gateway.cli.document",
        "Print the JSON Schema of the document.",
    ),
    Command("openapi", "gateway.cli.openapi", "Print a route for every operation of an OpenAPI description"),
    Command(
        "settings", "gateway.cli.settings", "Show every process setting: its value, where it came from, its meaning."
    ),
    Command("controlplane", "gateway.cli.roles", "Run the control plane."),
    Command("ext-authz", "gateway.cli.roles", "Run the ext_authz service."),
    Command("ratelimit", "gateway.cli.roles", "Run the rate-limit service."),
    Command("response-cache", "gateway.cli.roles", "Run the cache of answers."),
    Command(
        "telemetry", "gateway.cli.roles", "Run the process that makes the gateway_* metrics from Envoy's counters."
    ),
    Command("envoy", "gateway.cli.envoy", "Run Envoy with the bootstrap that the settings give."),
    Command("bootstrap", "gateway.cli.envoy", "Print Envoy's bootstrap, for an Envoy that you run yourself."),
    Command("apply", "gateway.cli.apply", "Bring a document live, and wait until every connected node has it."),
    Command(
        "plan",
        "gateway.cli.apply",
        "Say what a document would change: in its own words, and in what each node group gets.",
    ),
    Command("status", "gateway.cli.status", "Show what is live since when, and why the newest document is not"),
    Command("rollout", "gateway.cli.rollout", "Show what each node group has, and what it is to have"),
    Command("nodes", "gateway.cli.nodes", "Show who is connected, and whether each has what is live."),
    Command("discovery", "gateway.cli.discovery", "Show the lists that endpoints come from, and how old each is."),
    Command(
        "auth",
        "gateway.cli.auth",
        "Show the keys that tokens are verified with, or why a request is let through or not.",
    ),
    Command("events", "gateway.cli.events", "Print what happens, one line an event, until Ctrl-C."),
    Command("log", "gateway.cli.revisions", "List the revisions of the document, newest first."),
    Command("show", "gateway.cli.revisions", "Print the document of one revision as it was written"),
    Command("diff", "gateway.cli.revisions", "Say what changes from one revision to another."),
    Command("rollback", "gateway.cli.revisions", "Bring the document of an earlier revision live again"),
    Command("get", "gateway.cli.resources", "Show the parts of the document that is live, or one of them."),
    Command("put", "gateway.cli.resources", "Add one part to the live document, or replace it."),
    Command("patch", "gateway.cli.resources", "Change some values of one part of the live document"),
    Command("delete", "gateway.cli.resources", "Take one part out of the live document."),
    Command("tokens", "gateway.cli.tokens", "Make, list and revoke tokens of the admin API."),
    Command("keys", "gateway.cli.keys", "Make, list, change, rotate and revoke API keys."),
    Command("limits", "gateway.cli.limits", "Show rate limits, and give single callers other amounts."),
    Command("cache", "gateway.cli.cache", "Forget kept answers."),
    Command("revocations", "gateway.cli.revocations", "Revoke tokens, list what is revoked, and take it back."),
    Command("audit", "gateway.cli.audit", "Show the audit log, or verify that nobody has changed it."),
    Command("export", "gateway.cli.transfer", "Write everything that the store holds to a file"),
    Command("import", "gateway.cli.transfer", "Read everything that an export holds into a store that is empty."),
    Command("whoami", "gateway.cli.status", "Show which gateway is asked, and as whom"),
    Command("context", "gateway.cli.context", "Keep several gateways by name, and say which one is meant."),
    Command("completion", "gateway.cli.completion", "Print a script that makes a shell complete this command."),
    Command(
        "certs", "gateway.cli.certs", "Make a private authority and certificates, for mutual TLS between the parts."
    ),
    Command("demo", "gateway.cli.demo", "A backend, an identity provider and tokens to try the gateway with."),
    Command("version", "gateway.cli.version", "Print the version."),
)


def build_app(arguments: Sequence[str]) -> typer.Typer:
    """The command line that ``arguments`` need: the command that they name, and the mere names of the others."""
    app = typer.Typer(
        name="gateway",
        help="An API gateway: Envoy carries the traffic, Python decides.\n\n"
        "Exits with 0, with 1 when there was a problem, with 2 when it was called wrongly; `plan --exit-code` with 3.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_only_a_group)
    wanted = next((command for command in COMMANDS if arguments and command.name == arguments[0]), None)
    if wanted is not None:
        importlib.import_module(wanted.module).register(app)
        return app
    for command in COMMANDS:
        app.command(command.name, help=command.help)(_only_listed)
    return app


def _only_listed() -> None:
    """Stand for a command in the list of commands."""


def _only_a_group() -> None:
    """Make this a group of commands, also when only one of them is there."""

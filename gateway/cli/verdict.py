"""What came of a document that was checked, here or by the admin API."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from controlplane.config import ConfigError, GatewayConfig, Problem, load_document
from controlplane.config.problems import path_text
from controlplane.config.references import unused
from controlplane.model import Gateway
from controlplane.resolve import resolve
from gateway.binaries import MissingBinaryError, envoy_path
from gateway.cli.admin_client import admin_client
from gateway.cli.document_file import DocumentFile, UnreadableError, mistake_lines, read_document
from gateway.cli.output import plain, understood
from gateway.cli.refusals import SHOWN, Mistake, RefusedError, read_mistake

if TYPE_CHECKING:  # what asks Envoy is only loaded for a document without other mistakes
    from controlplane.xds.snapshot import Snapshot

_ENVOY_SECONDS = 10.0

_ANY_ADDRESS = "127.0.0.1"
"""Stands for the process setting, which decides nothing about validity."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The counts of what a document has, or its mistakes."""

    document: DocumentFile
    counts: Mapping[str, int] | None = None
    """``None`` when there are mistakes."""
    mistakes: tuple[Mistake, ...] = ()
    unlisted: int = 0
    """How many more there are."""
    warnings: tuple[Mistake, ...] = ()
    """What is allowed and perhaps not meant."""
    unasked: str = ""
    """Why Envoy was not asked about a document without mistakes; empty when it was."""


def check(name: str) -> Verdict:
    """Check the document of that name here. One that cannot be read is a mistake like others."""
    try:
        document = read_document(name)
    except UnreadableError as error:
        unreadable = Mistake(message=error.reason, code="unreadable", file="")
        return Verdict(document=DocumentFile(name, b""), mistakes=(unreadable,))
    try:
        config = load_document(document.text, origin=document.name)
        gateway = resolve(config, listen_address=_ANY_ADDRESS)
        unasked = _show_to_envoy(config)
    except ConfigError as error:
        mistakes = tuple(mistake_of(problem, document.name) for problem in error.problems)
        return Verdict(document=document, mistakes=mistakes, unlisted=error.unlisted)
    warnings = tuple(mistake_of(warning, document.name) for warning in unused(config))
    return Verdict(document=document, counts=_counts(gateway), warnings=warnings, unasked=unasked)


def _show_to_envoy(document: GatewayConfig) -> str:
    """Ask the Envoy of this machine, as the control plane does; why that could not be.

    Raises:
        ConfigError: Envoy refuses what the document becomes.
    """
    from controlplane.preflight import Constraints, EnvoyPreflight, PreflightUnavailableError, check_groups
    from controlplane.translate import translate_release

    def groups(of: GatewayConfig) -> Mapping[str, Snapshot]:
        return translate_release(resolve(of, listen_address=_ANY_ADDRESS)).groups

    found = groups(document)
    check_groups(Constraints(), document, found, groups)
    try:
        check_groups(EnvoyPreflight(binary=envoy_path(), deadline=_ENVOY_SECONDS), document, found, groups)
    except MissingBinaryError:
        return "there is none on this machine"
    except PreflightUnavailableError as error:
        return str(error)
    return ""


def ask(name: str, context: str | None) -> Verdict:
    """Let the admin API check the document of that name.

    Raises:
        CommandError: the document cannot be read, or the admin API gives no verdict.
    """
    document = read_document(name)
    with admin_client(context) as client:
        try:
            answer = client.send("POST", "/validate", body=document.body)
        except RefusedError as error:
            if not error.mistakes:
                raise
            return Verdict(document=document, mistakes=error.mistakes)
    with understood():
        counts = {str(key): value for key, value in answer.items() if isinstance(value, int)}
        warnings = tuple(read_mistake(one) for one in answer.get("warnings", ())[:SHOWN] if isinstance(one, dict))
    return Verdict(document=document, counts=counts, warnings=warnings)


def for_people(verdict: Verdict) -> Iterable[str]:
    """Lines that begin with ``file:line:column``, as editors and terminals find them."""
    if verdict.counts is not None:
        yield "ok: " + ", ".join(_counted(count, name) for name, count in verdict.counts.items())
        if verdict.unasked:
            yield plain(f"Envoy was not asked: {verdict.unasked}")
        warnings = (replace(one, message=f"warning: {one.message}") for one in verdict.warnings)
        yield from mistake_lines(verdict.document, warnings)
        return
    yield from mistake_lines(verdict.document, verdict.mistakes)
    unlisted = f", and {verdict.unlisted} more" if verdict.unlisted else ""
    yield _counted(len(verdict.mistakes), "problems") + unlisted


def for_programs(verdict: Verdict) -> dict[str, object]:
    """The same as plain data."""
    if verdict.counts is not None:
        warnings = [_plain_data(verdict.document, one) for one in verdict.warnings]
        return {"ok": True, "counts": dict(verdict.counts), "problems": [], "warnings": warnings}
    problems = [_plain_data(verdict.document, one) for one in verdict.mistakes]
    return {"ok": False, "problems": problems, "unlisted": verdict.unlisted}


def _plain_data(document: DocumentFile, mistake: Mistake) -> dict[str, object]:
    return {
        "file": document.file_of(mistake),
        "line": mistake.line,
        "column": mistake.column,
        "path": mistake.path,
        "code": mistake.code,
        "message": mistake.message,
        "hint": mistake.hint,
    }


def mistake_of(problem: Problem, name: str) -> Mistake:
    """A problem of the document called ``name``, as commands show it."""
    position = problem.position
    return Mistake(
        message=problem.message,
        hint=problem.hint,
        code=problem.code,
        path=path_text(problem.path),
        file=problem.origin.removeprefix(name).removeprefix("/"),
        line=position.line if position else None,
        column=position.column if position else None,
    )


def _counted(count: int, name: str) -> str:
    words = plain(name.replace("_", " "))
    return f"{count} {words.removesuffix('s') if count == 1 else words}"


def _counts(gateway: Gateway) -> dict[str, int]:
    return {
        "listeners": len(gateway.listeners),
        "upstreams": len(gateway.upstreams),
        "routes": len(gateway.routes),
        "identity_providers": len(gateway.identity_providers),
        "rate_limits": len(gateway.rate_limits),
    }

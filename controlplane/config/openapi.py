"""An OpenAPI description (3.0, 3.1) becomes routes of a document: every operation that it has, and nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from pydantic import ValidationError

from controlplane.config.explain import explain
from controlplane.config.problems import ConfigError, Path, Places, Problem, quoted
from controlplane.config.routes import Route
from controlplane.config.yaml_text import parse_yaml

METHODS: Final = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
"""The fields of a Path Item Object that hold operations (OpenAPI 3.1 §4.8.9)."""

_VERSION: Final = re.compile(r"3\.[01]\.\d+")
_TEMPLATE: Final = re.compile(r"\{[^{}/]+\}")
_VARIABLE: Final = re.compile(r"\{([^{}]+)\}")
_SCOPED: Final = frozenset({"oauth2", "openIdConnect"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What all routes have in common."""

    upstream: str
    authenticate: Sequence[str] = ()
    """Providers for operations with security requirements; without any, no route authenticates."""
    prefix: str | None = None
    """Begins every path; without it, the path of the first server's URL does."""


def routes_of(source: bytes, *, origin: str, target: Target) -> list[dict[str, Any]]:
    """The routes, in an order in which each operation reaches its own.

    Args:
        source: the description, as YAML or JSON.
        origin: what problems call it, usually its file name.
        target: what the routes lead to.

    Raises:
        ConfigError: it is no such description, or has operations that no route can stand for; every one is named.
    """
    text = parse_yaml(source, origin=origin)
    reader = _Reader(text.data, text.places)
    routes = list(reader.routes(target)) if reader.is_description() else []
    problems = [*text.problems, *reader.problems]
    if problems:
        raise ConfigError(problems)
    return routes


class _Reader:
    def __init__(self, data: Any, places: Places) -> None:
        self._data = data
        self._places = places
        self.problems: list[Problem] = []

    def is_description(self) -> bool:
        version = self._data.get("openapi") if isinstance(self._data, dict) else None
        if isinstance(version, str) and _VERSION.fullmatch(version):
            if isinstance(self._data.get("paths"), dict):
                return True
            self._refuse(("paths",), "there are no paths")
        elif isinstance(self._data, dict) and "swagger" in self._data:
            self._refuse(("swagger",), "this is Swagger 2", "convert it to OpenAPI 3 first")
        else:
            self._refuse(
                ("openapi",), "this is no OpenAPI description of version 3.0 or 3.1", "openapi: 3.1.0 begins one"
            )
        return False

    def routes(self, target: Target) -> Iterator[dict[str, Any]]:
        prefix = self._server_path() if target.prefix is None else target.prefix.rstrip("/")
        for path in sorted(self._paths(), key=_specific):
            for demand, operations in self._by_demand(path, target).items():
                yield from self._route(path, prefix, demand, operations, target)

    def _paths(self) -> Iterator[str]:
        for path, item in self._data["paths"].items():
            if path.startswith("x-"):
                continue
            if not path.startswith("/"):
                self._refuse(("paths", path), f"{quoted(path)} is no path: it begins with /", at_key=True)
            elif not isinstance(item, dict):
                self._refuse(("paths", path), "this is no Path Item Object")
            elif "$ref" in item:
                self._refuse(("paths", path, "$ref"), "a reference to another place", "put what it leads to here")
            else:
                yield path

    def _by_demand(self, path: str, target: Target) -> dict[tuple[str, ...] | None, list[str]]:
        """The methods of a path by what they ask of a caller: nothing (``None``), or to be known and these scopes."""
        found: dict[tuple[str, ...] | None, list[str]] = {}
        item = self._data["paths"][path]
        for method in METHODS:
            operation = item.get(method)
            if isinstance(operation, dict):
                demand = self._demand(("paths", path, method), operation) if target.authenticate else None
                found.setdefault(demand, []).append(method)
            elif method in item:
                self._refuse(("paths", path, method), "this is no Operation Object")
        return found

    def _demand(self, at: Path, operation: Mapping[str, Any]) -> tuple[str, ...] | None:
        security = operation.get("security", self._data.get("security", []))
        if not isinstance(security, list) or not all(isinstance(one, dict) for one in security):
            self._refuse((*at, "security"), "this is no list of Security Requirement Objects")
            return None
        if not security or {} in security:
            return None
        scopes = [self._scopes(requirement) for requirement in security]
        if any(one != scopes[0] for one in scopes):
            hint = "write the route by hand, or give every alternative the same scopes"
            self._refuse((*at, "security"), "a route asks for the same scopes of everybody", hint)
        return scopes[0]

    def _scopes(self, requirement: Mapping[str, Any]) -> tuple[str, ...]:
        components = self._data.get("components")
        schemes = components.get("securitySchemes") if isinstance(components, dict) else None
        found: set[str] = set()
        for name, scopes in requirement.items():
            scheme = schemes.get(name) if isinstance(schemes, dict) else None
            if isinstance(scheme, dict) and scheme.get("type") in _SCOPED and isinstance(scopes, list):
                found.update(scope for scope in scopes if isinstance(scope, str))
        return tuple(sorted(found))

    def _route(
        self, path: str, prefix: str, demand: tuple[str, ...] | None, methods: list[str], target: Target
    ) -> Iterator[dict[str, Any]]:
        route: dict[str, Any] = {"match": {**_match(prefix + path), "methods": [m.upper() for m in methods]}}
        route["upstream"] = target.upstream
        name = self._data["paths"][path][methods[0]].get("operationId") if len(methods) == 1 else None
        if isinstance(name, str):
            route = {"name": name, **route}
        if demand is not None:
            route["authenticate"] = list(target.authenticate)
            if demand:
                route["scopes"] = list(demand)
        try:
            Route.model_validate(route)
        except ValidationError as error:
            for problem in explain(error, Route):
                self._refuse(("paths", path), f"no route can stand for {path}: {problem.message}", at_key=True)
            return
        yield route

    def _server_path(self) -> str:
        servers = self._data.get("servers")
        first = servers[0] if isinstance(servers, list) and servers else None
        url = first.get("url") if isinstance(first, dict) else None
        if not isinstance(url, str) or not isinstance(first, dict):
            return ""
        variables = first.get("variables")
        known = variables if isinstance(variables, dict) else {}

        def default(found: re.Match[str]) -> str:
            variable = known.get(found[1])
            return str(variable.get("default", "")) if isinstance(variable, dict) else ""

        try:
            return urlsplit(_VARIABLE.sub(default, url)).path.rstrip("/")
        except ValueError:
            self._refuse(("servers", 0, "url"), "this is no URL", "or say the prefix yourself")
            return ""

    def _refuse(self, path: Path, message: str, hint: str | None = None, *, at_key: bool = False) -> None:
        problem = Problem(path=path, code="openapi", message=message, hint=hint, at_key=at_key)
        self.problems.append(self._places.locate(problem))


def _match(path: str) -> dict[str, str]:
    if not _TEMPLATE.search(path):
        return {"path": path or "/"}
    literals = _TEMPLATE.split(path)
    return {"path_regex": "[^/]+".join(map(re.escape, literals))}


def _specific(path: str) -> tuple[tuple[bool, str], ...]:
    """Concrete paths before templated ones (OpenAPI 3.1 §4.8.8), segment by segment."""
    return tuple((bool(_TEMPLATE.search(segment)), segment) for segment in path.split("/"))

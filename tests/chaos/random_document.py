"""A document that changes at random, one thing at a time, and always keeps its two stable routes open.

Whatever changes, ``GET /open`` is answered with 200 to everybody, and ``GET /guarded`` to whoever brings the token:
their upstreams, retries, limits and providers change as everybody else's do, and what they need is there.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from controlplane.config import load_document
from controlplane.model import Gateway
from controlplane.resolve import resolve

OPEN, GUARDED = "/open", "/guarded"
_STABLE = 2
"""The first routes of the list are the stable ones."""
_PLENTY = 100_000_000
"""Requests that no load test makes."""
_MOST = 12
"""Routes, upstreams, limits or providers; beyond, more are taken away than added."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a document has to name that is not its own."""

    port: int
    spare_ports: tuple[int, ...]
    """For further listeners."""
    backends: tuple[str, ...]
    """URLs which all answer with 200."""
    issuer: str
    audience: str
    jwks_uri: str


class RandomDocument:
    """One document. ``seed`` decides everything that happens to it."""

    def __init__(self, seed: int, around: Surroundings) -> None:
        self._random = random.Random(seed)
        self._around = around
        self._made = 0
        self._number = 0
        self._data: dict[str, Any] = {
            "listeners": [{"name": "http", "port": around.port}],
            "upstreams": [{"name": "first", "endpoints": list(around.backends[:1])}],
            "authentication": {"main": {"jwt": self._jwt()}},
            "rate_limits": {},
            "routes": [
                {"name": "open", "match": {"path_prefix": OPEN}, "upstream": "first"},
                {"name": "guarded", "match": {"path_prefix": GUARDED}, "upstream": "first", "authenticate": ["main"]},
            ],
        }
        self._gateway = self._resolved()

    def _jwt(self) -> dict[str, Any]:
        around = self._around
        return {"issuer": around.issuer, "audiences": [around.audience], "jwks_uri": around.jwks_uri}

    @property
    def text(self) -> str:
        """The document now. Its number makes it another than any before, also when it means what one before meant."""
        return f"# {self._number}\n{json.dumps(self._data, indent=1)}"

    def change(self) -> str:
        """Change one thing so that the document means something else; say what."""
        while True:
            before = json.dumps(self._data)
            kind = self._random.choice(_CHANGES)
            if kind(self):
                self._drop_unused()
                gateway = self._resolved()
                if gateway != self._gateway:
                    self._gateway = gateway
                    self._number += 1
                    return kind.__name__
            self._data = json.loads(before)

    def _resolved(self) -> Gateway:
        return resolve(load_document(self.text.encode(), origin="random"), listen_address="127.0.0.1")

    # Parts.

    @property
    def _routes(self) -> list[dict[str, Any]]:
        routes: list[dict[str, Any]] = self._data["routes"]
        return routes

    def _name(self, kind: str) -> str:
        self._made += 1
        return f"{kind}-{self._made}"

    def _chance(self, share: float) -> bool:
        return self._random.random() < share

    def _some(self, options: Iterable[Any], *, least: int = 0) -> list[Any]:
        choice = list(options)
        return self._random.sample(choice, self._random.randint(min(least, len(choice)), len(choice)))

    def _upstream_names(self) -> list[str]:
        return [upstream["name"] for upstream in self._data["upstreams"]]

    def _drop_unused(self) -> None:
        """What no route names any more goes, so that make-before-break has something to break."""
        fallbacks = {one["name"]: one.get("fallback") for one in self._data["upstreams"]}
        used: set[str | None] = set()
        for route in self._routes:
            shares = route.get("split") or [route]
            for name in (one["upstream"] for one in [*shares, *route.get("mirror", ())]):
                at: str | None = name
                while at is not None and at not in used:
                    used.add(at)
                    at = fallbacks[at]
        self._data["upstreams"] = [one for one in self._data["upstreams"] if one["name"] in used]
        for section, key in (("authentication", "authenticate"), ("rate_limits", "rate_limits")):
            names = {name for route in self._routes for name in route.get(key, ())}
            self._data[section] = {name: one for name, one in self._data[section].items() if name in names}

    # Upstreams.

    def _new_upstream(self) -> str:
        upstream: dict[str, Any] = {
            "name": self._name("upstream"),
            "endpoints": self._some(self._around.backends, least=1),
            "load_balancing": self._random.choice(["round_robin", "least_request", "random"]),
        }
        if self._chance(0.3):
            upstream["health_check"] = {"path": "/health", "interval": "1s"}
        self._data["upstreams"].append(upstream)
        name: str = upstream["name"]
        return name

    def move_a_route_to_a_new_upstream(self) -> bool:
        """Also the stable ones: the former upstream goes if nobody else is there."""
        route = self._random.choice(self._routes)
        route.pop("split", None)
        route["upstream"] = self._new_upstream()
        return len(self._data["upstreams"]) <= _MOST

    def move_a_route_to_a_known_upstream(self) -> bool:
        """Likewise."""
        route = self._random.choice(self._routes)
        route.pop("split", None)
        route["upstream"] = self._random.choice(self._upstream_names())
        return True

    def split_a_route(self) -> bool:
        """Among some that are known and a new one; perhaps another gets copies."""
        route = self._random.choice(self._routes)
        names = [*self._some(self._upstream_names()), self._new_upstream()]
        route.pop("upstream", None)
        route["split"] = [{"upstream": name, "weight": self._random.randint(1, 9)} for name in names]
        mirrored = self._chance(0.3)
        route["mirror"] = [{"upstream": self._random.choice(names), "share": "10%"}] if mirrored else []
        return len(self._data["upstreams"]) <= _MOST

    def change_how_an_upstream_is_balanced(self) -> bool:
        """By chance or by a tie; and who stands in comes after it in the list, so that none is a circle."""
        upstreams = self._data["upstreams"]
        at = self._random.randrange(len(upstreams))
        upstream, ways = upstreams[at], ["round_robin", "least_request", "ring_hash", "maglev"]
        upstream["load_balancing"] = self._random.choice(ways)
        upstream.pop("hash_on", None)
        if upstream["load_balancing"] in ("ring_hash", "maglev"):
            upstream["hash_on"] = [self._random.choice([{"client_ip": True}, {"header": "x-request-id"}])]
        later = [one["name"] for one in upstreams[at + 1 :]]
        upstream.pop("fallback", None)
        if later and self._chance(0.5):
            upstream["fallback"] = self._random.choice(later)
        return True

    def change_an_upstream(self) -> bool:
        """A new cluster for Envoy, which has to be warm before it takes over."""
        upstream = self._random.choice(self._data["upstreams"])
        upstream |= {
            "connect_timeout": f"{self._random.randint(1000, 5000)}ms",
            "circuit_breaker": {"max_requests": self._random.randint(1000, 9000)},
        }
        return True

    def change_endpoints(self) -> bool:
        """Some come, some go, perhaps all of them."""
        upstream = self._random.choice(self._data["upstreams"])
        upstream["endpoints"] = self._some(self._around.backends, least=1)
        return True

    def change_weights(self) -> bool:
        """The same endpoints, with other shares."""
        upstream = self._random.choice(self._data["upstreams"])
        urls = [one if isinstance(one, str) else one["url"] for one in upstream["endpoints"]]
        upstream["endpoints"] = [{"url": url, "weight": self._random.randint(1, 100)} for url in urls]
        return True

    # Routes.

    def add_a_route(self) -> bool:
        """Anywhere, in front of the stable ones too."""
        name = self._name("route")
        match: dict[str, Any] = {self._random.choice(["path_prefix", "path"]): f"/{name}"}
        if self._chance(0.3):
            match["hosts"] = [f"{name}.example.com", "*.example.org"]
        if self._chance(0.3):
            match["methods"] = self._some(["GET", "POST", "PUT"], least=1)
        if self._chance(0.3):
            match["headers"] = {"x-version": name}
        upstream = self._new_upstream() if self._chance(0.5) else self._random.choice(self._upstream_names())
        self._routes.insert(
            self._random.randint(_STABLE, len(self._routes)), {"name": name, "match": match, "upstream": upstream}
        )
        return len(self._routes) <= _MOST

    def remove_a_route(self) -> bool:
        """Any but the stable ones, and what it alone needed."""
        if len(self._routes) == _STABLE:
            return False
        self._routes.pop(self._random.randrange(_STABLE, len(self._routes)))
        return True

    def change_a_route(self) -> bool:
        """How long it may take and how often it is tried."""
        self._random.choice(self._routes).update(
            timeout=f"{self._random.randint(10, 60)}s",
            retry={"attempts": self._random.randint(0, 3), "per_try_timeout": f"{self._random.randint(5, 9)}s"},
        )
        return True

    def change_what_goes_through(self) -> bool:
        """Other headers, another path, other answers, compressed or not; some of it adds a filter to every listener."""
        route = self._random.choice(self._routes)
        number = self._random.randint(1, 9)
        options: dict[str, Any] = {
            "rewrite": {"path": f"/{number}"},
            "request_headers": {"set": {"x-number": f"{number} ${{route}}"}},
            "response_headers": {"add": {"x-number": str(number)}},
            "compress": self._some(["zstd", "br", "gzip"], least=1),
            "max_body": f"{number}MiB",
            "replace": [{"statuses": [f"50{number}"], "respond": {"status": 500, "body": "x"}}],
        }
        for key in options:
            route.pop(key, None)
        route.update({key: options[key] for key in self._some(options)})
        return True

    # Limits.

    def add_a_limit(self) -> bool:
        """To one or all routes."""
        name = self._name("limit")
        by = self._random.choice(["ip", "ip", "user"])
        routes = [route for route in self._routes if by == "ip" or route.get("authenticate")]
        self._data["rate_limits"][name] = {"by": by, "requests": _PLENTY, "per": "1s"}
        for route in self._some(routes, least=1):
            route.setdefault("rate_limits", []).append(name)
        return len(self._data["rate_limits"]) <= _MOST

    def remove_a_limit(self) -> bool:
        """From wherever it is."""
        if not self._data["rate_limits"]:
            return False
        name = self._random.choice(list(self._data["rate_limits"]))
        for route in self._routes:
            route["rate_limits"] = [one for one in route.get("rate_limits", ()) if one != name]
        return True

    def change_a_limit(self) -> bool:
        """As generous as before, but not the same."""
        if not self._data["rate_limits"]:
            return False
        self._random.choice(list(self._data["rate_limits"].values())).update(
            burst=_PLENTY + self._random.randint(1, _PLENTY),
            on_store_failure=self._random.choice(["local", "allow"]),
        )
        return True

    # Callers.

    def add_a_provider(self) -> bool:
        """Another who may vouch for callers, beside the one of the stable route or alone."""
        name = self._name("provider")
        key = hashlib.sha256(name.encode()).hexdigest()
        self._data["authentication"][name] = {"api_key": {"header": f"x-{name}", "keys": {name: f"sha256:{key}"}}}
        for route in self._some(self._routes[1:], least=1):
            route.setdefault("authenticate", []).append(name)
        return len(self._data["authentication"]) <= _MOST

    def remove_a_provider(self) -> bool:
        """Any but the one of the stable route. Routes that had only this one are open then."""
        names = [name for name in self._data["authentication"] if name != "main"]
        if not names:
            return False
        name = self._random.choice(names)
        for route in self._routes:
            route["authenticate"] = [one for one in route.get("authenticate", ()) if one != name]
            if not route["authenticate"]:
                route["rate_limits"] = [one for one in route.get("rate_limits", ()) if self._counts_by_ip(one)]
        return True

    def _counts_by_ip(self, limit: str) -> bool:
        return bool(self._data["rate_limits"][limit]["by"] == "ip")

    def change_what_is_forwarded(self) -> bool:
        """Another rule for ext_authz, and other headers for every listener to take away."""
        header = self._random.choice(["x-user-id", "x-caller", "x-subject"])
        self._data["authentication"]["main"]["jwt"].update(
            forward_claims={"sub": header}, leeway=f"{self._random.randint(1, 60)}s"
        )
        return True

    def change_scopes(self) -> bool:
        """The stable route asks for some that the token has."""
        self._routes[1]["scopes"] = self._some(["read", "write", "admin"])
        return True

    # Listeners.

    def change_listeners(self) -> bool:
        """Further ones come and go; the first stays."""
        ports = sorted(self._some(self._around.spare_ports))
        spare = [{"name": f"spare-{port}", "port": port} for port in ports]
        self._data["listeners"] = [self._data["listeners"][0], *spare]
        return True


_CHANGES: tuple[Callable[[RandomDocument], bool], ...] = (
    RandomDocument.move_a_route_to_a_new_upstream,
    RandomDocument.move_a_route_to_a_new_upstream,
    RandomDocument.move_a_route_to_a_known_upstream,
    RandomDocument.move_a_route_to_a_known_upstream,
    RandomDocument.split_a_route,
    RandomDocument.change_how_an_upstream_is_balanced,
    RandomDocument.change_what_goes_through,
    RandomDocument.change_an_upstream,
    RandomDocument.change_endpoints,
    RandomDocument.change_endpoints,
    RandomDocument.change_weights,
    RandomDocument.add_a_route,
    RandomDocument.add_a_route,
    RandomDocument.remove_a_route,
    RandomDocument.change_a_route,
    RandomDocument.add_a_limit,
    RandomDocument.remove_a_limit,
    RandomDocument.change_a_limit,
    RandomDocument.add_a_provider,
    RandomDocument.remove_a_provider,
    RandomDocument.change_what_is_forwarded,
    RandomDocument.change_scopes,
    RandomDocument.change_listeners,
)
"""Each change, as often as it should happen relative to the others."""

"""Several processes' metrics as one page: fetched with a deadline each, merged family by family."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import httpx
import structlog

LARGEST_PAGE = 16 * 1024 * 1024
"""Bytes of one process's page. What is longer counts as no answer."""

_log = structlog.get_logger(__name__)

_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_SAMPLE = re.compile(
    r"(?P<series>(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{.*\})?)"
    r" +(?:[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?|[-+]?Inf|NaN)"
    r"(?: +-?[0-9]+)?"
)
_SUFFIXES = ("_total", "_bucket", "_sum", "_count", "_created", "_info")


@dataclass(slots=True)
class _Family:
    """The lines of one family: what it is, then its samples by series."""

    help: str = ""
    type: str = ""
    samples: dict[str, str] = field(default_factory=dict)

    def lines(self) -> Iterator[str]:
        yield from filter(None, (self.help, self.type))
        yield from self.samples.values()


def merge_expositions(texts: Iterable[str]) -> str:
    """One page in the Prometheus text format from several.

    Families of one name become one, with the first ``HELP`` and ``TYPE``. Of a series that stands in several
    pages the first is kept, and samples of a family whose ``TYPE`` differs from the first one's are left out:
    Prometheus would refuse the whole page. A line that is no sample is left out too.
    """
    families: dict[str, _Family] = {}
    for text in texts:
        _add_page(families, text)
    lines = [line for family in families.values() for line in family.lines() if family.samples or family.type]
    return "\n".join(lines) + "\n" if lines else ""


def _add_page(families: dict[str, _Family], text: str) -> None:
    declared: dict[str, str] = {}
    for line in text.split("\n"):
        if line.startswith("#"):
            _add_comment(families, declared, line)
        elif (match := _SAMPLE.fullmatch(line)) is not None:
            name = _family_of(match["name"], declared)
            family = families.setdefault(name, _Family())
            if family.type == declared.get(name, family.type):
                family.samples.setdefault(match["series"], line)


def _add_comment(families: dict[str, _Family], declared: dict[str, str], line: str) -> None:
    words = line.split(" ", 3)
    if len(words) < 4 or words[0] != "#" or _NAME.fullmatch(words[2]) is None:
        return
    family = families.setdefault(words[2], _Family())
    if words[1] == "TYPE":
        declared[words[2]] = line
        family.type = family.type or line
    elif words[1] == "HELP":
        family.help = family.help or line


def _family_of(sample: str, declared: Mapping[str, str]) -> str:
    if sample in declared:
        return sample
    for suffix in _SUFFIXES:
        if sample.endswith(suffix) and sample.removesuffix(suffix) in declared:
            return sample.removesuffix(suffix)
    return sample


async def collect(
    targets: Sequence[str],
    *,
    own: str = "",
    deadline: float = 2.0,
    client: httpx.AsyncClient | None = None,
) -> str:
    """Merge this process's page with those of others.

    ``gateway_metrics_target_up`` says of each target whether its page is in.

    Args:
        targets: URLs of ``/metrics`` pages.
        own: the page of this process, which comes first.
        deadline: seconds that each target has; all are asked at once.
        client: used instead of a new one.
    """
    if client is None:
        async with httpx.AsyncClient(trust_env=False) as fresh:
            return await collect(targets, own=own, deadline=deadline, client=fresh)
    pages = await asyncio.gather(*(_fetch(client, target, deadline) for target in targets))
    up = {target: page is not None for target, page in zip(targets, pages, strict=True)}
    return merge_expositions([own, *(page for page in pages if page is not None), _targets_up(up)])


async def _fetch(client: httpx.AsyncClient, target: str, deadline: float) -> str | None:
    try:
        async with asyncio.timeout(deadline), client.stream("GET", target, timeout=deadline) as response:
            response.raise_for_status()
            return await _read_bounded(response)
    except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, ValueError) as error:
        _log.warning("no metrics from a target", target=target, error=str(error) or type(error).__name__)
        return None


async def _read_bounded(response: httpx.Response) -> str:
    body = bytearray()
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > LARGEST_PAGE:
            raise ValueError(f"more than {LARGEST_PAGE} bytes")
    return body.decode(errors="replace")


def _targets_up(up: Mapping[str, bool]) -> str:
    if not up:
        return ""
    name = "gateway_metrics_target_up"
    head = [f"# HELP {name} Whether the metrics of this target are on this page.", f"# TYPE {name} gauge"]
    return "\n".join([*head, *(f'{name}{{target="{_escaped(target)}"}} {int(ok)}' for target, ok in up.items())])


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")

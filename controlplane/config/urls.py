"""URLs in the document: of endpoints and of published keys. Messages never repeat a URL: it may hold a password."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, Field

from controlplane.config.base import mistake
from servicekit.address import Address

_PORTS = {"http": 80, "https": 443}
_DNS_NAME = re.compile(
    r"(?=.{1,253}\Z)(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9])?\.)*[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.?"
)
_NETLOC = re.compile(r"(?:\[[^\[\]]*\]|[^\[\]:]*)(?::[0-9]*)?")
_VISIBLE = re.compile(r"[!-~]{1,2048}")


@dataclass(frozen=True, slots=True)
class EndpointUrl:
    """What an endpoint's URL says."""

    tls: bool
    host: str
    """An IP address without brackets, or a DNS name in lower case."""
    port: int

    @property
    def is_ip(self) -> bool:
        """Whether the host is an address and not a name."""
        return _is_ip(self.host)


def parse_endpoint_url(text: str) -> EndpointUrl:
    """Read ``http://host[:port]`` or ``https://host[:port]``.

    Raises:
        PydanticCustomError: it is neither; the message says why.
    """
    url, port = _split(text)
    if url.path not in ("", "/") or url.query:
        raise mistake("url", "an endpoint has no path or query", "the path of a request goes to the endpoint as it is")
    return EndpointUrl(url.scheme == "https", url.hostname or "", port)


def check_endpoint_url(text: str) -> str:
    """The text, if :func:`parse_endpoint_url` can read it.

    Raises:
        PydanticCustomError: it cannot.
    """
    parse_endpoint_url(text)
    return text


def check_keys_url(text: str) -> str:
    """The text, if it is a URL from which keys may be fetched.

    Raises:
        PydanticCustomError: it is none, or could be changed on its way.
    """
    if _leaves_in_clear(text):
        hint = "whoever can change the keys on their way can forge tokens"
        raise mistake("insecure-url", "keys have to be fetched over https", hint)
    return text


def check_list_url(text: str, *, allow_insecure: bool) -> str:
    """The text, if it is a URL from which a list of endpoints may be fetched.

    Raises:
        PydanticCustomError: it is none, or could be changed on its way and ``allow_insecure`` is false.
    """
    if _leaves_in_clear(text) and not allow_insecure:
        hint = "whoever can change it on its way says where requests go; if that is nobody, add allow_insecure: true"
        raise mistake("insecure-url", "a list of endpoints has to be fetched over https", hint)
    return text


def check_secrets_url(text: str) -> str:
    """The text, if it is a URL to which secrets may be sent.

    Raises:
        PydanticCustomError: it is none, or they could be read on their way.
    """
    if _leaves_in_clear(text):
        raise mistake("insecure-url", "this is sent secrets, and has to be https", "http is for this machine only")
    return text


def _leaves_in_clear(text: str) -> bool:
    url, port = _split(text)
    return url.scheme == "http" and not Address(host=url.hostname or "", port=port).stays_on_machine


def _split(text: str) -> tuple[SplitResult, int]:
    if not _VISIBLE.fullmatch(text):
        raise mistake("url", "this is not a URL", "write it as http://host:port")
    try:
        url = urlsplit(text)
        port = url.port
    except ValueError:
        raise mistake("url", "this is not a URL", "write it as http://host:port") from None
    if url.scheme not in _PORTS:
        raise mistake("url", "a URL begins with http:// or https://", "write it as http://host:port")
    if url.username is not None or url.password is not None or "#" in text:
        raise mistake("url", "a URL here has no user, password or fragment")
    host = url.hostname or ""
    if not _is_ip(host) and not _is_name(host):
        raise mistake("url", "the URL's host is neither an IP address nor a DNS name", "write it as http://host:port")
    if not _NETLOC.fullmatch(url.netloc):  # urlsplit passes over what stands around brackets
        raise mistake("url", "this is not a URL", "write it as http://host:port")
    if port == 0 or url.netloc.endswith(":"):
        raise mistake("url", "a port is 1 to 65535")
    return url, port or _PORTS[url.scheme]


def _is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return "%" not in host


def _is_name(host: str) -> bool:
    """A DNS name; one whose last label is a number is a mistyped IPv4 address (RFC 3696 §2)."""
    return bool(_DNS_NAME.fullmatch(host)) and not host.rstrip(".").rsplit(".", 1)[-1].isdigit()


EndpointUrlText = Annotated[str, AfterValidator(check_endpoint_url), Field(json_schema_extra={"format": "uri"})]
SecretsUrl = Annotated[str, AfterValidator(check_secrets_url), Field(json_schema_extra={"format": "uri"})]
KeysUrl = Annotated[str, AfterValidator(check_keys_url), Field(json_schema_extra={"format": "uri"})]

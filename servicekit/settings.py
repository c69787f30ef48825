"""Process settings: environment > ``.env`` > default, and where each value came from."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeVar

from dotenv import dotenv_values
from pydantic import AfterValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict
from pydantic_settings import SettingsError as UnreadableSettingError

from servicekit.address import Address, AddressSetting

ENV_PREFIX = "GATEWAY_"
ENV_FILE = ".env"

SHORTEST_SECRET: Final = 32
"""Characters."""

_S = TypeVar("_S", bound="ProcessSettings")


class SettingsError(Exception):
    """A setting has an impossible value; the text names the variable and what was expected."""


class ProcessSettings(BaseSettings):
    """What every process can be told from outside."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX,
        env_file=ENV_FILE,
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        use_attribute_docstrings=True,
    )

    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """Least severe log line that is written."""

    drain_seconds: float = Field(default=3.0, ge=0, le=600)
    """Seconds that a stopping process lets requests in flight finish."""


class PeerSettings(ProcessSettings):
    """What a process needs that talks to others over gRPC."""

    tls_dir: Path | None = None
    """Folder with ``tls.crt``, ``tls.key`` and ``ca.crt`` (a Kubernetes TLS secret). With it every gRPC
    connection that is not a Unix socket uses mutual TLS; without it such a connection must stay on
    the machine unless ``insecure_network`` says otherwise."""

    insecure_network: bool = False
    """Allow gRPC without TLS to leave the machine, for networks that encrypt by themselves."""


class XdsClientSettings(PeerSettings):
    """What a process needs that takes its policy from the control plane."""

    xds_address: AddressSetting = Address(host="127.0.0.1", port=18000)
    """The control plane's xDS server."""

    node_id: str = Field(default_factory=socket.gethostname, min_length=1, max_length=253)
    """The name under which the control plane lists this process (xDS ``Node.id``)."""

    node_group: str = Field(default="edge", min_length=1, max_length=253)
    """The cluster that this process says it is of (xDS ``Node.cluster``): one of the things that the document's node
    groups choose nodes by."""

    state_dir: Path | None = None
    """Folder for the last good policy, which a restart without the control plane begins with.
    Without it nothing is kept."""


def _check_secret(secret: SecretStr) -> SecretStr:
    if len(secret.get_secret_value()) < SHORTEST_SECRET:
        raise ValueError(f"it has at least {SHORTEST_SECRET} characters, as `openssl rand -hex 32` makes them")
    return secret


class ApiKeySettings(ProcessSettings):
    """What the processes need that know the API keys which are made while the gateway runs."""

    api_key_secret: Annotated[SecretStr, AfterValidator(_check_secret)] | None = None
    """What the API keys are hashed with that are made while the gateway runs, the same for the control plane and for
    ext_authz, at least 32 characters. Without it none can be made; with another one those that were made are not known
    any more."""


class SecretsSettings(ProcessSettings):
    """What a process needs that resolves secrets by reference."""

    secrets_dir: Path | None = None
    """Folder with the files that ``file:NAME`` in a document may name. Without it none can be named."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting of a process, for people."""

    variable: str
    value: str
    source: Literal["environment", ".env", "default"]
    meaning: str


def load_settings(cls: type[_S], **overrides: Any) -> _S:
    """Build the settings of one process; ``overrides`` (the command line) win over the environment.

    Raises:
        SettingsError: a value is impossible. All of them are named at once.
    """
    try:
        return cls(**{name: value for name, value in overrides.items() if value is not None})
    except ValidationError as error:
        lines = [f"{variable_name(str(e['loc'][0]))}: {e['msg'].removeprefix('Value error, ')}" for e in error.errors()]
        raise SettingsError("\n".join(lines)) from None
    except UnreadableSettingError as error:
        # Its cause may quote the value, which may be a secret.
        field = str(error).split('"')[1]
        raise SettingsError(f"{variable_name(field)}: this is not JSON") from None


def variable_name(field: str) -> str:
    """The environment variable that sets ``field``."""
    return f"{ENV_PREFIX}{field}".upper()


def describe_settings(settings: ProcessSettings) -> list[Setting]:
    """Every setting with its value and source, secrets masked, sorted by variable."""
    dotenv = (
        {key.upper() for key, value in dotenv_values(ENV_FILE).items() if value} if Path(ENV_FILE).is_file() else set()
    )
    environment = {key.upper() for key, value in os.environ.items() if value}
    rows = []
    for field, info in type(settings).model_fields.items():
        variable = variable_name(field)
        source: Literal["environment", ".env", "default"] = "default"
        if variable in environment:
            source = "environment"
        elif variable in dotenv:
            source = ".env"
        rows.append(Setting(variable, _shown(getattr(settings, field)), source, _one_line(info.description)))
    return sorted(rows, key=lambda row: row.variable)


def _shown(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, SecretStr):
        return "********" if value.get_secret_value() else ""
    if isinstance(value, (list, tuple)):
        return ",".join(map(str, value))
    return str(value)


def _one_line(text: str | None) -> str:
    return " ".join((text or "").split()).replace("``", "`")

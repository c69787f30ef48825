"""What the telemetry process can be told from outside."""

from __future__ import annotations

from typing import Annotated

from pydantic import AnyHttpUrl, TypeAdapter
from pydantic.functional_validators import AfterValidator

from servicekit.address import Address, AddressSetting
from servicekit.settings import ProcessSettings

_URL = TypeAdapter(AnyHttpUrl)


def _check_url(text: str) -> str:
    _URL.validate_python(text)
    return text


class TelemetrySettings(ProcessSettings):
    """The process settings of telemetry."""

    telemetry_http_bind: AddressSetting = Address(host="127.0.0.1", port=18013)
    """Where the metric families and health are served (HTTP)."""

    envoy_stats_url: Annotated[str, AfterValidator(_check_url)] = "http://127.0.0.1:8002/metrics"
    """Envoy's own metrics, on its health listener."""

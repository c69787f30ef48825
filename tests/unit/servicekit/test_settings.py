"""Reading settings from the environment."""

from __future__ import annotations

from pathlib import Path

import pytest

from servicekit.address import Address, AddressSetting
from servicekit.settings import ProcessSettings, SettingsError, load_settings


class Settings(ProcessSettings):
    """One field of each kind that the environment writes in its own way."""

    bind: AddressSetting = Address(host="127.0.0.1", port=1)
    targets: tuple[str, ...] = ()


@pytest.fixture(autouse=True)
def _elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("text", ["0.0.0.0:18000", "[::1]:18000", "unix:/run/x.sock", "controlplane:18000"])
def test_an_address_is_written_as_text(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not as the JSON that a dataclass would be."""
    monkeypatch.setenv("GATEWAY_BIND", text)
    assert str(load_settings(Settings).bind) == text


def test_a_list_that_is_no_json_is_named_without_its_value(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names the variable; what was in it may be a secret."""
    monkeypatch.setenv("GATEWAY_TARGETS", "hunter2")
    with pytest.raises(SettingsError, match="GATEWAY_TARGETS") as caught:
        load_settings(Settings)
    assert "hunter2" not in str(caught.value)


def test_every_mistake_is_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two impossible values make two lines."""
    monkeypatch.setenv("GATEWAY_BIND", "nowhere")
    monkeypatch.setenv("GATEWAY_LOG_LEVEL", "LOUD")
    with pytest.raises(SettingsError) as caught:
        load_settings(Settings)
    assert sorted(line.partition(":")[0] for line in str(caught.value).splitlines()) == [
        "GATEWAY_BIND",
        "GATEWAY_LOG_LEVEL",
    ]

"""The settings of the rate-limit service."""

from __future__ import annotations

import pytest

from ratelimit_service.settings import RateLimitSettings
from servicekit.settings import SettingsError, describe_settings, load_settings


@pytest.mark.parametrize(
    "url", ["redis://127.0.0.1:6379/0", "rediss://user:s3cret@redis:6380/1", "unix:///run/v.sock?db=2"]
)
def test_redis_urls(url: str) -> None:
    """TCP, TLS with a user, and a Unix socket."""
    assert load_settings(RateLimitSettings, redis_url=url).redis_url.get_secret_value() == url


def test_a_url_that_is_none_is_refused_without_showing_its_password() -> None:
    """The message names the variable and what is expected."""
    with pytest.raises(SettingsError, match=r"^GATEWAY_REDIS_URL: not a Redis URL") as caught:
        load_settings(RateLimitSettings, redis_url="http://user:s3cret@redis:6379")
    assert "s3cret" not in str(caught.value)


def test_the_url_is_masked_when_settings_are_shown() -> None:
    """It may hold a password."""
    settings = load_settings(RateLimitSettings, redis_url="redis://:s3cret@redis:6379")
    assert "s3cret" not in repr(describe_settings(settings)) + repr(settings)

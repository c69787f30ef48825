"""The document names secrets and never holds one."""

from __future__ import annotations

import pytest
from pydantic import TypeAdapter, ValidationError

from controlplane.config.secret_references import FileText, SecretText


def test_a_secret_in_plain_text_is_refused_and_not_repeated() -> None:
    """The message says what to write, and that what stood there is none any more."""
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(SecretText).validate_python("hunter2")
    (error,) = caught.value.errors()
    assert error["type"] == "mistake.secret-reference"
    assert "env:GATEWAY_SECRET_NAME" in error["ctx"]["hint"]
    assert "hunter2" not in str(error["ctx"])


@pytest.mark.parametrize("text", ["env:GATEWAY_SECRET_A", "file:keys/a"])
def test_references_pass(text: str) -> None:
    """As they are written."""
    assert TypeAdapter(SecretText).validate_python(text) == text


def test_where_a_file_is_asked_for_a_variable_is_none() -> None:
    """Keys that are read again as they change stand in files."""
    with pytest.raises(ValidationError, match="file"):
        TypeAdapter(FileText).validate_python("env:GATEWAY_SECRET_A")

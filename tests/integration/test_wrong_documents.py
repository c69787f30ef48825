"""A document that is wrong in any one place never goes live, and the error names the line."""

from __future__ import annotations

import os
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from controlplane.config import ConfigError, GatewayConfig, load_document
from controlplane.config.yaml_text import parse_yaml
from controlplane.resolve import resolve
from tests.harness.unreadable_documents import unreadable_documents
from tests.harness.written_lines import Written
from tests.harness.wrong_documents import Wrong, wrong_documents

ROOT = Path(__file__).parents[2]
RIGHT = (
    ROOT / "examples/full/gateway.yaml",
    ROOT / "examples/compose/gateway.yaml",
    Path(__file__).with_name("every_key.yaml"),
)
SAMPLE = int(os.environ.get("GATEWAY_TEST_WRONG") or 1500)
"""How many of the wrong documents of each right one are looked at: others in each run."""
SEED = int(os.environ.get("GATEWAY_TEST_SEED") or random.randrange(1_000_000))


def right(path: Path) -> dict[str, Any]:
    """A right document as plain data."""
    data = parse_yaml(path.read_bytes(), origin="document").data
    assert isinstance(data, dict)
    return data


def compiled(text: bytes) -> GatewayConfig:
    """A document that makes sense as a whole."""
    document = load_document(text, origin="document")
    resolve(document, listen_address="127.0.0.1")
    return document


def complaint(wrong: Wrong) -> str | None:
    """Why the gateway is wrong about this wrong document."""
    try:
        compiled(wrong.text)
    except ConfigError as error:
        lines = [problem.position.line if problem.position else 0 for problem in error.problems]
        return None if wrong.lines & set(lines) else f"{wrong}: lines {lines}, not {sorted(wrong.lines)}: {error}"
    return f"{wrong}: not refused"


@pytest.mark.timeout(60 + SAMPLE // 10)
@pytest.mark.parametrize("path", RIGHT, ids=lambda path: path.parent.name)
def test_every_place_of_a_document_can_be_wrong(path: Path) -> None:
    """Wrong types, ranges, names, expressions, URLs, keys and lists: all refused, with the line."""
    data = right(path)
    compiled(Written(data).text.encode())
    found = list(wrong_documents(data))
    print(f"{len(found)} wrong documents from {path.name}: {dict(Counter(wrong.kind for wrong in found))}")
    looked_at = random.Random(SEED).sample(found, min(SAMPLE, len(found)))
    print(f"seed {SEED}: {len(looked_at)} of them")
    complaints = [text for wrong in looked_at if (text := complaint(wrong)) is not None]
    assert len(found) > 100
    assert not complaints, f"{len(complaints)} of {len(found)}:\n" + "\n".join(complaints[:20])


def test_every_line_of_a_text_can_be_spoilt() -> None:
    """Broken YAML and other encodings, and what a document may not do: tags, merge keys, bombs of aliases, depth."""
    found = list(unreadable_documents(right(RIGHT[0])))
    print(f"{len(found)} unreadable documents: {dict(Counter(wrong.kind for wrong in found))}")
    complaints = [text for wrong in found if (text := complaint(wrong)) is not None]
    assert len(found) > 100
    assert not complaints, f"{len(complaints)} of {len(found)}:\n" + "\n".join(complaints[:20])

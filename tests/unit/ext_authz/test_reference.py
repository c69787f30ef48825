"""The page that says which test holds which rule says the truth."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
NAMED = re.compile(r"`(?:(test_\w+\.py): )?(test_\w+)`")


def test_every_rule_has_its_test() -> None:
    """Each test that the page names is in the file where it says."""
    page = (ROOT / "docs/reference/jwt.md").read_text()
    found = NAMED.findall(page)
    assert len(found) > 60
    for file, test in found:
        path = ROOT / "tests/unit/ext_authz" / file if file else ROOT / "tests/security/test_jwt_attacks.py"
        assert re.search(rf"^(?:async )?def {test}\(", path.read_text(), re.MULTILINE), f"{file} {test}"


def test_the_example_works() -> None:
    """The page's own lines, with sets written as sets."""
    page = (ROOT / "docs/reference/jwt.md").read_text()
    code = page.split("```python\n")[1].split("```")[0]
    names = {"document": '{"keys":[]}', "token": "x"}
    exec(compile(code, "jwt.md", "exec"), names)
    assert "Refused" in type(names["result"]).__name__

"""The page that says which test holds which rule says the truth."""

from __future__ import annotations

import re
from pathlib import Path

from controlplane.config import load_document
from controlplane.resolve import resolve
from ext_authz import key_source, rule_arrivals
from ext_authz.app import MAX_CONCURRENT_CHECKS
from ext_authz.key_fetcher import DEADLINE
from ext_authz.service import MAX_WAIT

ROOT = Path(__file__).parents[3]
NAMED = re.compile(r"`(?:(\w+(?:\.py)?): )?(test_\w+)`")
FOLDERS = {"": "tests/security/test_jwt_{}.py", ".py": "tests/unit/ext_authz/{}.py"}


def test_every_rule_has_its_test() -> None:
    """Each test that the page names is in the file where it says."""
    page = (ROOT / "docs/reference/jwt.md").read_text()
    found = NAMED.findall(page)
    assert len(found) > 60
    for file, test in found:
        name, ending = Path(file).stem, Path(file).suffix
        path = ROOT / FOLDERS[ending].format(name)
        assert re.search(rf"^(?:async )?def {test}\(", path.read_text(), re.MULTILINE), f"{file} {test}"


def test_the_example_works() -> None:
    """The page's own lines, with sets written as sets."""
    page = (ROOT / "docs/reference/jwt.md").read_text()
    code = page.split("```python\n")[1].split("```")[0]
    names = {"document": '{"keys":[]}', "token": "x"}
    exec(compile(code, "jwt.md", "exec"), names)
    assert "Refused" in type(names["result"]).__name__


def test_every_dependency_has_its_test() -> None:
    """The same for the page about what is away; its files are anywhere."""
    page = (ROOT / "docs/reference/ext-authz-failures.md").read_text()
    rows = [line for line in page.splitlines() if line.startswith("| ")][1:]
    found = [NAMED.search(row.rpartition(" | ")[2]) for row in rows]
    assert len(rows) > 20
    for row, named in zip(rows, found, strict=True):
        assert named is not None, row
        files = [path.read_text() for path in (ROOT / "tests").rglob(named[1])]
        assert any(re.search(rf"^(?:async )?def {named[2]}\(", text, re.MULTILINE) for text in files), row


def test_the_bounds_on_that_page_are_those_of_the_code() -> None:
    """Numbers that are written twice stay the same twice."""
    page = (ROOT / "docs/reference/ext-authz-failures.md").read_text()
    assert (MAX_WAIT, DEADLINE, rule_arrivals.MAX_WAITING, key_source.MAX_WAITING) == (1.0, 5.0, 1024, 256)
    assert f"more than {MAX_CONCURRENT_CHECKS} checks at a time" in page


def test_every_rule_of_authorization_has_its_test() -> None:
    """The same for the page about roles and claims."""
    page = (ROOT / "docs/reference/authorization.md").read_text()
    tests = (ROOT / "tests/unit/ext_authz/test_authorization.py").read_text()
    found = NAMED.findall(page)
    assert len(found) == page.count("| `test_")
    for _, test in found:
        assert re.search(rf"^(?:async )?def {test}\(", tests, re.MULTILINE), test


def test_the_example_of_authorization_is_a_document() -> None:
    """Once it has the parts that it refers to."""
    page = (ROOT / "docs/reference/authorization.md").read_text()
    rest = """
listeners: [{name: http, port: 8000}]
upstreams: [{name: resumes, endpoints: ["http://127.0.0.1:8048"]}]
authentication:
  platform: {jwt: {issuer: "https://id.example.com", audiences: [a], jwks_uri: "https://id.example.com/jwks"}}
"""
    document = load_document((page.split("```yaml\n")[1].split("```")[0] + rest).encode(), origin="page")
    (route,) = resolve(document, listen_address="127.0.0.1").routes
    assert route.authorization is not None
    assert route.authorization.roles == ("admin", "owner")

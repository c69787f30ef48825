"""Golden files: what the code gives, kept as readable YAML beside what it was given."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

GOLDEN = Path(__file__).parents[1] / "golden"
"""The folder of all golden files; each stage has its own folder in it."""


def cases(stage: str, pattern: str) -> pytest.MarkDecorator:
    """Run a test once for each input of a stage, given as the argument ``case``: ``@cases("xds", "*/document.yaml")``.

    The id is the name of the case: the folder's when every case is a folder, else the file's.
    """
    found = sorted((GOLDEN / stage).glob(pattern))
    assert found, f"no {pattern} in {GOLDEN / stage}"
    names = [path.parent.name if "/" in pattern else path.stem for path in found]
    return pytest.mark.parametrize("case", found, ids=names)


def to_yaml(value: Any) -> str:
    """Canonical YAML of plain data: mappings sorted, lists in their order, block style."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=True, default_flow_style=False, width=120, allow_unicode=True)


@dataclass(frozen=True, slots=True)
class Golden:
    """The comparison that every golden test makes."""

    update: bool

    def check_folder(self, folder: Path, outputs: Mapping[str, str], *, inputs: Iterable[str]) -> None:
        """Compare ``outputs`` (file name to text) with the files of ``folder``.

        A file that is neither an input nor an output is stale: it fails the test, and an update deletes it.
        """
        expected = {path.name for path in folder.iterdir() if path.is_file()} - set(inputs)
        if self.update:
            for name in expected - set(outputs):
                (folder / name).unlink()
        else:
            assert sorted(expected) == sorted(outputs), f"{folder}: the files are not those that the code gives"
        for name, text in outputs.items():
            self.check_file(folder / name, text)

    def check_file(self, path: Path, text: str) -> None:
        """Compare ``text`` with the one file ``path``."""
        if self.update:
            if not path.is_file() or path.read_text(encoding="utf-8") != text:
                path.write_text(text, encoding="utf-8")
            return
        expected = path.read_text(encoding="utf-8") if path.is_file() else ""
        assert text == expected, f"{path} is not what the code gives; see `pytest --update-golden`"


class _Dumper(yaml.SafeDumper):
    """Writes shared values twice (no anchors) and long texts as blocks."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)


_Dumper.add_representer(str, _text)

"""Values in, manifests out: what an installation of the chart consists of."""

from __future__ import annotations

from pathlib import Path

import yaml

from tests.harness.chart import Manifest, render
from tests.harness.golden import GOLDEN, Golden, cases, to_yaml

IN, OUT = ".in.yaml", ".out.yaml"


@cases("helm", f"*{IN}")
def test_the_manifests_are_those_of_the_golden_file(case: Path, golden: Golden) -> None:
    """Each object that the real Helm engine renders from the values of the case."""
    values = yaml.safe_load(case.read_text())
    manifests = [hide_generated(manifest, values) for manifest in render(values)]
    golden.check_file(case.with_name(case.name.replace(IN, OUT)), "---\n".join(map(to_yaml, manifests)))


def test_every_golden_file_has_its_values(golden: Golden) -> None:
    """No output is left over from a case that is gone."""
    folder = GOLDEN / "helm"
    stale = {out for out in folder.glob(f"*{OUT}") if not out.with_name(out.name.replace(OUT, IN)).exists()}
    if golden.update:
        for path in stale:
            path.unlink()
    else:
        assert stale == set()


def hide_generated(manifest: Manifest, values: Manifest) -> Manifest:
    """Put a constant for each secret that is made afresh by every rendering."""
    if manifest["kind"] == "Secret":
        keys = (("redis", "url"), ("store", "url"), ("admin", "token"))
        given = {values.get(section, {}).get(key) for section, key in keys}
        for field in manifest.keys() & {"data", "stringData"}:
            manifest[field] = {k: v if v in given else "<generated>" for k, v in manifest[field].items()}
    return manifest

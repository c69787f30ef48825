"""What the admin API answers about documents: plans, outcomes and differences."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields, replace
from typing import Any, Literal, Self

from pydantic import BaseModel

from controlplane.admin.errors import MistakeOut, mistake_of
from controlplane.compiler import Compiled
from controlplane.difference import compare_gateways, compare_snapshots
from controlplane.live import Applied
from controlplane.model import Gateway
from controlplane.store import Outcome
from controlplane.translate.release import SERVICES, Release
from controlplane.xds.snapshot import Snapshot


class FieldChangeOut(BaseModel):
    """One value that is another now."""

    path: str
    before: Any
    after: Any


class ChangeOut(BaseModel):
    """One named thing of the document that came, went, or changed."""

    section: str
    name: str
    kind: Literal["added", "removed", "changed"]
    fields: list[FieldChangeOut]


class ResourceChangesOut(BaseModel):
    """Names of the xDS resources of one type that change."""

    type_url: str
    added: list[str]
    removed: list[str]
    changed: list[str]


class GroupChangesOut(BaseModel):
    """What changes for the nodes of one group; `services` are the gateway's own."""

    group: str
    resources: list[ResourceChangesOut]


class PlanOut(BaseModel):
    """What a document would change. Documents that mean the same change nothing."""

    parent: int | None
    """The revision that it is compared with; null when nothing is live, or no history is kept."""
    changes: list[ChangeOut]
    groups: list[GroupChangesOut]
    warnings: list[MistakeOut]
    """What is allowed and perhaps not meant."""


class GroupOutcomeOut(BaseModel):
    """What became of a revision on the nodes of one group."""

    group: str
    outcome: Outcome
    waiting: list[str]
    """Nodes that have not answered."""
    refused: dict[str, str]
    """Nodes that have refused it, in their words."""


class AppliedOut(BaseModel):
    """What became of a document that was sent."""

    revision: int
    digest: str
    """Hash of everything that the document means."""
    changed: bool
    """Whether it meant something else than what was live."""
    outcome: Outcome
    groups: list[GroupOutcomeOut]

    @classmethod
    def of(cls, applied: Applied) -> Self:
        """As the API shows it."""
        return cls(
            revision=applied.number,
            digest=applied.digest,
            changed=applied.changed,
            outcome=applied.outcome,
            groups=[
                GroupOutcomeOut(
                    group=one.group, outcome=one.outcome, waiting=list(one.waiting), refused=dict(one.refused)
                )
                for one in applied.groups
            ],
        )


def changes_between(before: Gateway | None, after: Gateway) -> list[ChangeOut]:
    """In the document's words; without ``before``, everything is new."""
    found = compare_gateways(before if before is not None else _without_anything(after), after)
    return [ChangeOut.model_validate(one, from_attributes=True) for one in found]


def group_changes(before: Release | None, after: Release) -> list[GroupChangesOut]:
    """In xDS resources, by group; groups without a change are left out."""
    old, new = _snapshots(before), _snapshots(after)
    nothing = Snapshot({}, {})
    found = ((name, compare_snapshots(old.get(name, nothing), new.get(name, nothing))) for name in {**new, **old})
    return [
        GroupChangesOut(
            group=name,
            resources=[ResourceChangesOut.model_validate(one, from_attributes=True) for one in resources],
        )
        for name, resources in found
        if resources
    ]


def plan_of(number: int | None, before: Compiled | None, after: Compiled) -> PlanOut:
    """What changes from what is live to ``after``."""
    return PlanOut(
        parent=number,
        changes=changes_between(before.gateway if before else None, after.gateway),
        groups=group_changes(before.release if before else None, after.release),
        warnings=[mistake_of(warning) for warning in after.warnings],
    )


def summary_of(changes: Iterable[ChangeOut]) -> list[str]:
    """For the audit log: what came, went or changed, without the values."""
    return [f"{one.kind} {one.section} {one.name}" for one in changes]


def _without_anything(gateway: Gateway) -> Gateway:
    lists: Any = {field.name: () for field in fields(gateway) if isinstance(getattr(gateway, field.name), tuple)}
    return replace(gateway, **lists)


def _snapshots(release: Release | None) -> dict[str, Snapshot]:
    return {} if release is None else {**release.groups, SERVICES: release.services}

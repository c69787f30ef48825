"""Bringing a release to every node group: policies first, a canary where there is one, and back when a node refuses."""

from controlplane.rollout.outcome import GroupOutcome, GroupState, ReleaseOutcome
from controlplane.rollout.rollout import NoCanaryError, Rollout

__all__ = ["GroupOutcome", "GroupState", "NoCanaryError", "ReleaseOutcome", "Rollout"]

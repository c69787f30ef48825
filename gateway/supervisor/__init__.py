"""Runs the processes of one machine: in order of readiness, restarted when they die or hang, stopped in
reverse order.

``plan`` and ``restarts`` decide and touch nothing; ``supervisor`` does what they say; ``probes`` ask a process
whether it is ready or alive; ``output`` passes on what the processes write. Nothing here knows a gateway.
"""

from gateway.supervisor.output import Output
from gateway.supervisor.plan import Component, PlanError, Probe
from gateway.supervisor.restarts import RestartRules
from gateway.supervisor.supervisor import ComponentFailedError, Supervisor

__all__ = ["Component", "ComponentFailedError", "Output", "PlanError", "Probe", "RestartRules", "Supervisor"]

"""The ground floor: what every process of the gateway stands on.

Settings, logs, metrics, health, serving and draining, the xDS client, and the contracts between the
control plane and the services that enforce its policies. Nothing here knows a route, a token or a limit.
"""

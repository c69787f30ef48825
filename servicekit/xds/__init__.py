"""How a service takes its policy from the control plane: an xDS client for one resource of our own types."""

from servicekit.xds.subscription import XdsSubscription

__all__ = ["XdsSubscription"]

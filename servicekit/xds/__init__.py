"""How a service takes what it enforces from the control plane: xDS clients for resources of our own types."""

from servicekit.xds.collection import INDEX, XdsCollection
from servicekit.xds.subscription import XdsSubscription

__all__ = ["INDEX", "XdsCollection", "XdsSubscription"]

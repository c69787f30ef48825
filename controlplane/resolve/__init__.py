"""Document to model, in named passes: names linked, defaults merged, conflicts found. Pure."""

from controlplane.resolve.resolver import resolve

__all__ = ["resolve"]

"""Where documents come from. Each source yields what it reads, good or bad, and never ends by itself."""

from controlplane.sources.environment import EnvironmentSource
from controlplane.sources.file import FileSource, read_source
from controlplane.sources.source import Loaded, Source

__all__ = ["EnvironmentSource", "FileSource", "Loaded", "Source", "read_source"]

"""The folders in which something has to change for a path to lead to another file."""

from __future__ import annotations

from pathlib import Path

_MOST_LINKS = 40  # as many as Linux follows (path_resolution(7))


def folders_on_the_way(path: Path) -> frozenset[Path]:
    """The folder of the file that ``path`` names, and of every symbolic link on the way to it.

    Raises:
        OSError: a link cannot be read.
    """
    folders = set()
    way = path.absolute()
    for _ in range(_MOST_LINKS):
        link = next((part for part in (*reversed(way.parents), way) if part.is_symlink()), None)
        if link is None:
            break
        folders.add(link.parent)
        way = link.parent / link.readlink() / way.relative_to(link)
    return frozenset({*folders, way.parent})

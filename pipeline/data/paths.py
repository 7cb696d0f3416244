"""Image files by name: light helpers that import nothing heavy."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

IMAGE_EXTENSIONS = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".ppm", ".pgm", ".tif", ".tiff")


def find_images(folder: Path) -> list[Path]:
    """All image files in a folder and below, by their extension, sorted; hidden ones left out. Links are followed, but
    for those that lead in a circle: to a folder that they lie in."""
    found = []
    # Of each folder to come: where it really lies, then where the links on the way to it lie.
    places = {str(folder): [os.path.realpath(folder)]}
    for parent, subfolders, names in os.walk(str(folder), followlinks=True):
        here = places.pop(parent)
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
        for name in list(subfolders):
            path = os.path.join(parent, name)
            if not os.path.islink(path):
                places[path] = [os.path.join(here[0], name), *here[1:]]
            elif any(_lies_in(place, target := os.path.realpath(path)) for place in here):
                subfolders.remove(name)
            else:
                places[path] = [target, *here]
        found += [Path(parent, n) for n in names if not n.startswith(".") and n.lower().endswith(IMAGE_EXTENSIONS)]
    return sorted(found)


def _lies_in(path: str, folder: str) -> bool:
    """Whether a path is that of the folder or of something in it."""
    return os.path.commonpath([path, folder]) == folder


def has_images(folder: Path) -> bool:
    """Whether image files lie in a folder itself, as in one without classes."""
    return any(not name.startswith(".") and name.lower().endswith(IMAGE_EXTENSIONS) for name in os.listdir(folder))


def relative_names(paths: Sequence[Path]) -> list[str]:
    """Each file's path below the folder that all have in common: short, and unique if the paths are."""
    folders = [os.path.dirname(os.path.abspath(path)) for path in paths]
    common = os.path.commonpath(folders) if folders else ""
    return [Path(os.path.relpath(os.path.abspath(path), common)).as_posix() for path in paths]

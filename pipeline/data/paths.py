"""Image files by name: light helpers that import nothing heavy."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

IMAGE_EXTENSIONS = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".ppm", ".pgm", ".tif", ".tiff")


def find_images(folder: Path) -> list[Path]:
    """All image files in a folder and below, by their extension, sorted; hidden ones left out, links not followed."""
    found = []
    for parent, subfolders, names in os.walk(folder):
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
        found += [Path(parent, n) for n in names if not n.startswith(".") and n.lower().endswith(IMAGE_EXTENSIONS)]
    return sorted(found)


def relative_names(paths: Sequence[Path]) -> list[str]:
    """Each file's path below the folder that all have in common: short, and unique if the paths are."""
    folders = [os.path.dirname(os.path.abspath(path)) for path in paths]
    common = os.path.commonpath(folders) if folders else ""
    return [Path(os.path.relpath(os.path.abspath(path), common)).as_posix() for path in paths]

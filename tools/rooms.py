"""Counts the rooms of the code and the arrows between them, and draws them as a list.

    python tools/rooms.py [ROOT]

A room is a package, or a module that lies beside packages in `pipeline/`; an arrow leads from a room to another one
that it imports from, wherever the import stands, in a function too. `--list` prints the arrows.
"""

from __future__ import annotations

import argparse
import ast
from pathlib import Path

FOLDERS = ("cli", "pipeline", "generators", "learners")


def rooms_and_arrows(root: Path) -> tuple[set[str], set[tuple[str, str]]]:
    """The rooms of a checkout, by name, and the arrows between them."""
    modules = {
        path.relative_to(root).with_suffix("").parts: path
        for folder in FOLDERS
        for path in (root / folder).rglob("*.py")
    }
    packages = {parts[:-1] for parts in modules if parts[-1] == "__init__"}
    rooms = {room_of(parts, packages) for parts in modules}
    arrows = set()
    for parts, path in modules.items():
        own = room_of(parts, packages)
        for other in imports(parts, path):
            while other not in modules and other not in packages:  # a name in a module
                other = other[:-1]
            if (found := room_of(other, packages)) != own:
                arrows.add((own, found))
    return rooms, arrows


def room_of(parts: tuple[str, ...], packages: set[tuple[str, ...]]) -> str:
    """The room in which a module lies; a lone module of `pipeline/` is one."""
    if parts[-1] == "__init__":
        parts = parts[:-1]
    if parts in packages:
        return ".".join(parts)
    return ".".join(parts[:2] if len(parts) == 2 and parts[0] == "pipeline" else parts[:-1])


def imports(parts: tuple[str, ...], path: Path) -> set[tuple[str, ...]]:
    """The modules, or names in packages, that a module imports from its own distribution."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = parts[: len(parts) - node.level]
            inside = (*base, *node.module.split(".")) if node.module else base
            found |= {(*inside, alias.name) for alias in node.names}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", nargs="?", type=Path, default=Path(__file__).parent.parent)
    parser.add_argument("--list", action="store_true", help="print the arrows")
    options = parser.parse_args()
    rooms, arrows = rooms_and_arrows(options.root)
    print(f"{len(rooms)} rooms, {len(arrows)} arrows")
    if options.list:
        for room in sorted(rooms):
            print(f"{room}: {', '.join(sorted(b for a, b in arrows if a == room)) or 'nothing'}")


if __name__ == "__main__":
    main()

"""Counts the rooms of the code and the arrows between them, and draws them as a list.

    python tools/rooms.py [ROOT]

A room is a package, or a module that lies beside packages in `pipeline/`; an arrow leads from a room to another one
that it imports from, wherever the import stands, in a function too. `--list` prints the arrows.
"""

from __future__ import annotations

import argparse
import ast
from collections.abc import Collection
from pathlib import Path

FOLDERS = ("cli", "pipeline", "generators", "learners")

Module = tuple[str, ...]
"""A module by its place: `("pipeline", "data", "store")`, and `("pipeline", "data", "__init__")` for the package."""


def modules_of(root: Path) -> dict[Module, Path]:
    """The modules of a checkout, and their files."""
    files = [path for folder in FOLDERS for path in sorted((root / folder).rglob("*.py"))]
    return {path.relative_to(root).with_suffix("").parts: path for path in files}


def imported_modules(root: Path) -> dict[Module, set[Module]]:
    """The modules of a checkout, and from which others each imports, in its functions too.

    What lies outside the four folders stands as the import names it.
    """
    modules = modules_of(root)
    return {parts: {module_of(name, modules) for name in imports(parts, path)} for parts, path in modules.items()}


def module_of(name: Module, modules: Collection[Module]) -> Module:
    """The module that a name is, or in which it is."""
    for length in range(len(name), 0, -1):
        for found in ((*name[:length], "__init__"), name[:length]):
            if found in modules:
                return found
    return name


def rooms_and_arrows(root: Path) -> tuple[set[str], set[tuple[str, str]]]:
    """The rooms of a checkout, by name, and the arrows between them."""
    found = imported_modules(root)
    arrows = {(room_of(parts), room_of(other)) for parts, others in found.items() for other in others}
    return {room_of(parts) for parts in found}, {(room, other) for room, other in arrows if room != other}


def room_of(module: Module) -> str:
    """The room in which a module lies; a lone module of `pipeline/` is one."""
    lone = len(module) == 2 and module[0] == "pipeline" and module[1] != "__init__"
    return ".".join(module if lone else module[:-1])


def imports(parts: Module, path: Path) -> set[Module]:
    """The modules, or names in modules, that a module imports by relative imports."""
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

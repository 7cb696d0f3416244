"""The structure holds: imports flow one way, every package is installed, every option is used."""

import ast
import dataclasses
import importlib
import re
from pathlib import Path

import pytest

from synthcl.pipeline.regimes.table import REGIMES

ROOT = Path(__file__).parent.parent
FOLDERS = ("cli", "pipeline", "generators", "learners")
ALLOWED = {
    "cli": {"cli", "pipeline"},
    "pipeline": {"pipeline", "generators", "learners"},
    "generators": {"generators"},
    "learners": {"learners"},
}
SHARED = {"__init__", "common", "sampling"}
"""Modules of configs/ that hold no command's options of their own."""
CONFIGS = sorted({path.stem for path in (ROOT / "pipeline/configs").glob("*.py")} - SHARED)


def modules():
    return [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]


def imported_folders(path: Path) -> set[str]:
    """The top-level folders that a module imports from, by its relative imports."""
    place = path.relative_to(ROOT).with_suffix("").parts
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = place[: len(place) - node.level]
            names = [node.module] if node.module else [alias.name for alias in node.names]
            found |= {(*base, *name.split("."))[0] for name in names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.module.startswith("synthcl"), f"{path}: imports inside the package are relative"
    return found


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_flow_one_way(path):
    folder = path.relative_to(ROOT).parts[0]
    assert imported_folders(path) <= ALLOWED[folder]


def test_every_package_is_installed():
    # Read by hand: Python 3.10 has no tomllib.
    listed = re.search(r"^packages = \[(.*?)\]", (ROOT / "pyproject.toml").read_text(), re.DOTALL | re.MULTILINE)[1]
    folders = {path.parent.relative_to(ROOT) for path in modules()}
    assert set(re.findall(r'"(.*?)"', listed)) == {"synthcl." + ".".join(folder.parts) for folder in folders}


@pytest.mark.parametrize("name", CONFIGS)
def test_no_option_is_parsed_and_ignored(name):
    module = importlib.import_module(f"synthcl.pipeline.configs.{name}")
    configs = [c for c in vars(module).values() if dataclasses.is_dataclass(c) and c.__module__ == module.__name__]
    code = (
        "\n".join(path.read_text() for path in (ROOT / "pipeline").rglob("*.py") if path.parent.name != "configs")
        + (ROOT / f"pipeline/configs/{name}.py").read_text().partition("def __post_init__")[2]
        + (ROOT / "pipeline/configs/train.py").read_text().partition("def __post_init__")[2]
    )
    # These pass the names on to `load_generator`.
    sampling = (ROOT / "pipeline/configs/sampling.py").read_text()
    code += "".join(f"config.{name} " for name in re.findall(r'"(\w+)"', "".join(sampling.split("def ")[1:])))
    code += "".join(re.findall(r"self\.\w+ ?", sampling))
    # These choose the regime, which asks its table.
    code += "".join(f"config.{entry.selected_by} " for entry in REGIMES.values())
    names = {f.name for config in configs for f in dataclasses.fields(config)}
    assert not [name for name in names if not re.search(rf"config\.{name}\b|self\.{name}\b", code)]

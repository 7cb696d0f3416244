"""The structure holds: imports flow one way, every package is installed."""

import ast
import importlib
import re
import runpy
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

ROOT = Path(__file__).parent.parent
rooms = SimpleNamespace(**runpy.run_path(str(ROOT / "tools" / "rooms.py")))
ALLOWED = {
    "cli": {"cli", "pipeline"},
    "pipeline": {"pipeline", "generators", "learners"},
    "generators": {"generators"},
    "learners": {"learners"},
}
COMMON = {"errors", "files", "randomness"}
"""Lone modules of pipeline/ that every room may import from."""
MAY_IMPORT = {
    "errors": set(),
    "files": set(),
    "randomness": set(),
    "options": set(),
    "progress": set(),
    "runtime": set(),
    "hub": {"progress"},
    "images": {"runtime"},
    "data": {"hub", "images", "progress", "runtime"},
    "views": {"data", "runtime"},
    "configs": {"data", "options", "views"},
    "runs": {"configs", "data", "options", "progress", "runtime"},
    "encoder": {"runs", "views"},
    "shards": {"configs", "data", "hub", "images", "options", "progress", "runs", "runtime"},
    "cluster": {"progress", "runtime"},
    "generation": {"cluster", "configs", "data", "hub", "images", "options", "progress", "runs", "runtime", "shards"},
    "regimes": {"configs", "data", "generation", "options", "runs", "runtime", "shards", "views"},
    "evaluation": {
        "cluster", "configs", "data", "encoder", "generation", "hub", "options", "progress", "runs", "runtime",
        "shards", "views",
    },
    "training": {
        "configs", "data", "encoder", "evaluation", "generation", "hub", "images", "options", "progress", "regimes",
        "runs", "runtime", "views",
    },
    "exporting": {"configs", "data", "encoder", "evaluation", "hub", "options", "runs", "views"},
    "comparison": {
        "configs", "data", "encoder", "evaluation", "generation", "images", "options", "progress", "regimes", "runs",
        "runtime", "shards", "training",
    },
}  # fmt: skip
"""The rooms of pipeline/, its packages and lone modules, and which of the others each may import from besides `COMMON`:
those that it builds on. A package in another is a part of it."""


MODULES = rooms.modules_of(ROOT)
IMPORTED = rooms.imported_modules(ROOT)


def modules():
    return list(MODULES.values())


def pipeline_imports() -> dict[str, set[str]]:
    """Which rooms of pipeline/ import from which; `__init__` is its own module."""
    found: dict[str, set[str]] = {}
    for module, others in IMPORTED.items():
        if module[0] == "pipeline":
            inside = {other[1] for other in others if other[0] == "pipeline"}
            found.setdefault(module[1], set()).update(inside - {module[1]})
    return found


@pytest.mark.parametrize("module", MODULES, ids="/".join)
def test_imports_flow_one_way(module):
    assert {other[0] for other in IMPORTED[module]} <= ALLOWED[module[0]]
    for node in ast.walk(ast.parse(MODULES[module].read_text())):
        absolute = [node.module] if isinstance(node, ast.ImportFrom) and not node.level else []
        absolute += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        assert not any(f"{name}.".startswith("synthcl.") for name in absolute), "imports in the package are relative"


def test_rooms_of_the_pipeline_import_only_what_they_build_on():
    found = pipeline_imports()
    assert MAY_IMPORT.keys() == found.keys() - {"__init__"}
    for name, allowed in MAY_IMPORT.items():
        wrong = found[name] - allowed - COMMON
        assert not wrong, f"pipeline/{name} imports from {sorted(wrong)}, which it does not build on"


def module_imports() -> dict[str, set[str]]:
    """Which modules import from which, those that are imported late included."""
    return {"/".join(module): {"/".join(other) for other in others} for module, others in IMPORTED.items()}


@pytest.mark.parametrize("imports", [pipeline_imports, module_imports])
def test_no_imports_run_in_a_circle(imports):
    found = imports()
    found.pop("__init__", None)  # it names everything that the package exports
    assert not {other for others in found.values() for other in others} - found.keys() - {"__init__"}
    while found:
        free = {name for name, others in found.items() if not others & found.keys()}
        assert free, f"these import one another: {sorted(found)}"
        found = {name: others for name, others in found.items() if name not in free}


def test_every_package_is_installed():
    # Read by hand: Python 3.10 has no tomllib.
    listed = re.search(r"^packages = \[(.*?)\]", (ROOT / "pyproject.toml").read_text(), re.DOTALL | re.MULTILINE)[1]
    folders = {path.parent.relative_to(ROOT) for path in modules()}
    assert set(re.findall(r'"(.*?)"', listed)) == {"synthcl." + ".".join(folder.parts) for folder in folders}


def own_test(module: Path) -> Path:
    """Where the tests of a module are."""
    return ROOT / "tests" / module.parent.relative_to(ROOT) / f"test_{module.name}"


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_each_module_has_its_test(path):
    test = own_test(path)
    assert path.stem.startswith("__") or test.exists(), f"make {test.relative_to(ROOT)} for {path.relative_to(ROOT)}"


LAZY = [
    *(f"pipeline.{name}" for name in ("data", "evaluation", "shards", "views")),
    "pipeline",
    "generators",
    "learners",
]
"""Packages whose names load on first use."""


@pytest.mark.parametrize("package", LAZY)
def test_a_name_of_a_package_is_no_module_however_often_it_is_asked_for(package):
    found = importlib.import_module(f"synthcl.{package}")
    for name in found.__all__:
        assert not isinstance(getattr(found, name), ModuleType), name
        assert getattr(found, name) is getattr(found, name)

"""The structure holds: imports flow one way, every package is installed."""

import ast
import importlib
import re
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parent.parent
FOLDERS = ("cli", "pipeline", "generators", "learners")
ALLOWED = {
    "cli": {"cli", "pipeline"},
    "pipeline": {"pipeline", "generators", "learners"},
    "generators": {"generators"},
    "learners": {"learners"},
}
MAY_IMPORT = {
    "options": set(),
    "progress": set(),
    "runtime": set(),
    "hub": {"progress"},
    "images": {"runtime"},
    "data": {"hub", "images", "progress", "runtime"},
    "views": {"data", "runtime"},
    "configs": {"data", "options", "views"},
    "runs": {"configs", "data", "options", "progress", "runtime"},
    "shards": {"configs", "data", "hub", "images", "options", "progress", "runs", "runtime"},
    "cluster": {"progress", "runtime"},
    "generation": {"cluster", "configs", "data", "hub", "images", "options", "progress", "runs", "runtime", "shards"},
    "regimes": {"configs", "data", "generation", "options", "runs", "runtime", "shards", "views"},
    "evaluation": {
        "cluster", "configs", "data", "generation", "hub", "options", "progress", "runs", "runtime", "shards", "views",
    },
    "training": {
        "configs", "data", "evaluation", "generation", "hub", "images", "options", "progress", "regimes", "runs",
        "runtime", "views",
    },
    "exporting": {"configs", "data", "evaluation", "hub", "options", "runs", "views"},
    "comparison": {
        "configs", "data", "evaluation", "generation", "images", "options", "progress", "regimes", "runs", "runtime",
        "shards", "training",
    },
}  # fmt: skip
"""The packages of pipeline/, and which of the others each may import from: those that it builds on."""


def modules():
    return [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]


def imported(path: Path) -> set[tuple[str, ...]]:
    """What a module imports by relative imports: `("pipeline", "data", "store")`."""
    place = path.relative_to(ROOT).with_suffix("").parts
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = place[: len(place) - node.level]
            names = [node.module] if node.module else [alias.name for alias in node.names]
            found |= {(*base, *name.split(".")) for name in names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.module.startswith("synthcl"), f"{path}: imports inside the package are relative"
    return found


def unit(module: tuple[str, ...]) -> str:
    """The package of pipeline/ in which a module lies, or its own name if it lies in none."""
    return module[1] if len(module) > 1 else "__init__"


def pipeline_imports() -> dict[str, set[str]]:
    """Which packages and lone modules of pipeline/ import from which."""
    found: dict[str, set[str]] = {}
    for path in sorted((ROOT / "pipeline").rglob("*.py")):
        own = unit(path.relative_to(ROOT).with_suffix("").parts)
        others = {unit(module) for module in imported(path) if module[0] == "pipeline"}
        found.setdefault(own, set()).update(others - {own})
    return found


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_flow_one_way(path):
    folder = path.relative_to(ROOT).parts[0]
    assert {module[0] for module in imported(path)} <= ALLOWED[folder]


def test_packages_of_the_pipeline_import_only_what_they_build_on():
    found = pipeline_imports()
    assert MAY_IMPORT.keys() == {path.parent.name for path in (ROOT / "pipeline").glob("*/__init__.py")}
    for name, allowed in MAY_IMPORT.items():
        wrong = (found[name] & MAY_IMPORT.keys()) - allowed
        assert not wrong, f"pipeline/{name} imports from {sorted(wrong)}, which it does not build on"


def module_imports() -> dict[str, set[str]]:
    """Which modules import from which, those that are imported late included, as paths."""
    found: dict[str, set[str]] = {}
    for path in modules():
        others = found.setdefault(str(path.relative_to(ROOT)), set())
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.level:
                place = path.parents[node.level - 1].joinpath(*(node.module or "").split("."))
                names = [place / f"{alias.name}.py" for alias in node.names] if place.is_dir() else []
                files = [name if name.exists() else place / "__init__.py" for name in names]
                others.update(str(file.relative_to(ROOT)) for file in files or [place.with_suffix(".py")])
    return found


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

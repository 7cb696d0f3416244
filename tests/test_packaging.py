"""What is handed on: the wheel holds every module, the licence, the report's template and the marks of types."""

import re
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FOLDERS = ("cli", "pipeline", "generators", "learners")
FILES = ("pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", "MANIFEST.in", "Makefile")


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The wheel, and the names of the files in it and in the source distribution, built without a network."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("built")
    for folder in (*FOLDERS, "examples"):
        shutil.copytree(ROOT / folder, source / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for name in FILES:
        shutil.copy(ROOT / name, source / name)
    code = f"from setuptools import build_meta as b; b.build_wheel({str(out)!r}); b.build_sdist({str(out)!r})"
    done = subprocess.run([sys.executable, "-c", code], cwd=source, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (wheel,), (sdist,) = out.glob("*.whl"), out.glob("*.tar.gz")
    with zipfile.ZipFile(wheel) as archive, tarfile.open(sdist) as tar:
        metadata = next(name for name in archive.namelist() if name.endswith("METADATA"))
        return {
            "path": wheel,
            "wheel": set(archive.namelist()),
            "sdist": {name.partition("/")[2] for name in tar.getnames()},
            "metadata": archive.read(metadata).decode(),
        }


def test_the_wheel_has_every_module_and_what_belongs_to_it(built):
    modules = {f"synthcl/{path.relative_to(ROOT)}" for f in FOLDERS for path in (ROOT / f).rglob("*.py")}
    beside = {f"synthcl/{folder}/py.typed" for folder in FOLDERS} | {"synthcl/pipeline/comparison/report.html.j2"}
    beside |= {f"synthcl/{path.relative_to(ROOT)}" for f in FOLDERS for path in (ROOT / f).rglob("*.pyi")}
    assert "synthcl/pipeline/__init__.pyi" in beside
    beside |= {f"synthcl/{path.relative_to(ROOT)}" for path in (ROOT / "pipeline" / "configs").rglob("*.yaml")}
    assert "synthcl/pipeline/configs/presets/train/digits.yaml" in beside
    assert modules | beside <= built["wheel"]
    assert any(name.endswith("licenses/LICENSE") for name in built["wheel"])


def test_the_source_distribution_has_what_builds_it_and_its_papers(built):
    assert {"LICENSE", "CHANGELOG.md", "README.md", "pyproject.toml", "pipeline/py.typed"} <= built["sdist"]
    assert "examples/custom_generator.py" in built["sdist"]


def test_the_metadata_names_the_licence_and_that_there_are_types(built):
    assert "License-Expression: Apache-2.0" in built["metadata"]
    assert "Classifier: Typing :: Typed" in built["metadata"]
    assert "Apache License" in (ROOT / "LICENSE").read_text()


CALLS = """
from synthcl.pipeline import train
train(data="digits", steps=3, out="x")
train(data="digits", stepz=3, out="x")
"""


def test_a_type_checker_knows_the_options_where_the_wheel_is_installed(built, tmp_path):
    pytest.importorskip("mypy", reason="mypy comes with the tools of lint")
    venv.create(tmp_path / "venv")
    (packages,) = (tmp_path / "venv").glob("lib/python*/site-packages")
    with zipfile.ZipFile(built["path"]) as archive:
        archive.extractall(packages)
    (tmp_path / "calls.py").write_text(CALLS)
    python = ["--python-executable", str(tmp_path / "venv" / "bin" / "python")]
    command = [sys.executable, "-m", "mypy", "--config-file=", *python, "calls.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    wrong = {line.split(":")[1] for line in done.stdout.splitlines() if ": error: " in line}
    assert wrong == {"4"} and "stepz" in done.stdout, done.stdout + done.stderr


def test_the_changes_tell_of_the_version():
    version = re.search(r'^version = "(.*)"', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)[1]
    assert f"## {version}" in (ROOT / "CHANGELOG.md").read_text()


@pytest.mark.parametrize("tool", ["ruff", "mypy", "types-PyYAML"])
def test_the_tools_of_lint_are_pinned(tool):
    extra = re.search(r"^lint = \[(.*?)\]", (ROOT / "pyproject.toml").read_text(), re.MULTILINE | re.DOTALL)[1]
    assert re.search(rf'"{tool}==[\d.]+"', extra)

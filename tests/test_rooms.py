"""tools/rooms.py: what a module imports is found in every form, and in which room it lies."""

import runpy
import subprocess
import sys
from pathlib import Path

import pytest

TOOL = Path(__file__).parent.parent / "tools" / "rooms.py"
FILES = {
    "pipeline/__init__.py": "",
    "pipeline/encoder.py": "from . import errors\nfrom ..learners import create\n",
    "pipeline/errors.py": "import ast\nfrom pathlib import Path\n",
    "pipeline/data/__init__.py": "from .store import Store\n",
    "pipeline/data/store.py": "def read():\n    from ..encoder import Encoder\n",
    "pipeline/data/tars/__init__.py": "from .. import store\nfrom ...data import Store\n",
    "learners/__init__.py": "from .base import create\n",
    "learners/base.py": "from ..elsewhere import thing\n",
}


@pytest.fixture
def checkout(tmp_path):
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_modules_are_found_in_every_form_of_an_import(checkout):
    found = runpy.run_path(str(TOOL))["imported_modules"](checkout)
    assert found == {
        ("pipeline", "__init__"): set(),
        ("pipeline", "encoder"): {("pipeline", "errors"), ("learners", "__init__")},
        ("pipeline", "errors"): set(),
        ("pipeline", "data", "__init__"): {("pipeline", "data", "store")},
        ("pipeline", "data", "store"): {("pipeline", "encoder")},
        ("pipeline", "data", "tars", "__init__"): {("pipeline", "data", "store"), ("pipeline", "data", "__init__")},
        ("learners", "__init__"): {("learners", "base")},
        ("learners", "base"): {("elsewhere", "thing")},
    }


def test_rooms_and_arrows_are_printed(checkout):
    (checkout / "learners" / "base.py").write_text("")
    shown = subprocess.run([sys.executable, TOOL, checkout, "--list"], capture_output=True, text=True, check=True)
    assert shown.stdout.splitlines() == [
        "6 rooms, 4 arrows",
        "learners: nothing",
        "pipeline: nothing",
        "pipeline.data: pipeline.encoder",
        "pipeline.data.tars: pipeline.data",
        "pipeline.encoder: learners, pipeline.errors",
        "pipeline.errors: nothing",
    ]

"""Shared by all tests. Stand-ins of what is large or far away are in stand_ins/."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest_plugins = (
    "stand_ins.hub_server",
    "stand_ins.object_store",
    "stand_ins.ranks",
    "stand_ins.tiny_pipelines",
    "stand_ins.torchvision_files",
)


def pytest_collection_finish() -> None:
    """What is imported stays: the collector need not go through it again and again."""
    gc.freeze()


@pytest.fixture(autouse=True)
def stay() -> Iterator[None]:
    """A test leaves the process where it was, whose own folder is removed when it has passed, and with the path of
    modules that it had, to whose end a class of the user's adds the working directory."""
    before, path = os.getcwd(), list(sys.path)
    yield
    sys.path[:] = path
    after = os.getcwd()
    os.chdir(before)
    assert after == before, f"the test has gone to {after} and not come back; go there by monkeypatch.chdir"


@pytest.fixture
def peak_memory() -> Callable[[], int]:
    """Tells by how many bytes the peak of this process's memory has grown since the test began.

    Not by tracemalloc: in Python 3.11 its stop() can crash a process that has native threads.
    """
    reset = Path("/proc/self/clear_refs")
    if not reset.exists():
        pytest.skip("this system does not tell a process's peak memory")

    def resident(name: str) -> int:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(name + ":")) * 1024

    reset.write_text("5")  # forget the peak so far
    before = resident("VmRSS")
    return lambda: resident("VmHWM") - before


@pytest.fixture
def no_internet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing can be downloaded."""
    import urllib.request

    def refuse(*arguments: Any, **options: Any) -> Any:
        raise OSError("no route to host")

    monkeypatch.setattr(urllib.request, "urlopen", refuse)


@pytest.fixture
def slurm_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Puts a stand-in for sbatch on the PATH (stand_ins/sbatch.py); where it leaves the options that it read."""
    script, read = tmp_path / "bin" / "sbatch", tmp_path / "read.json"
    script.parent.mkdir()
    script.write_text(f"#!{sys.executable}\n" + (Path(__file__).parent / "stand_ins" / "sbatch.py").read_text())
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{script.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("READ_BY_SBATCH", str(read))
    return read

"""kill -9, at random moments and at each step of publication: nothing is lost, doubled, or left behind."""

import random
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest


def start(directory: Path, *, samples: int = 64, parts: int = 1, delay: float = 0.0) -> subprocess.Popen:
    script = Path(__file__).parent / "write_slowly.py"
    return subprocess.Popen([sys.executable, script, *map(str, (directory, samples, parts, delay, 0))])


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("whole") / "set"
    assert start(path).wait() == 0
    return path


def test_killed_at_each_step_of_publication(tmp_path: Path, make_set, digest, killed_at) -> None:
    expected, call = digest(make_set("whole")), 1
    while killed_at(call, partial(make_set, f"killed-{call}")):
        directory = tmp_path / f"killed-{call}"
        published = {name: sha for name, sha in digest(directory).items() if not name.startswith(".synthcl")}
        assert published.items() <= expected.items()
        make_set(f"killed-{call}")
        assert digest(directory) == expected
        call += 1
    assert call > 30


def test_killed_at_each_step_of_an_extension(tmp_path: Path, make_set, digest, killed_at) -> None:
    expected, call = digest(make_set("whole", num_samples=70)), 1
    while True:
        make_set(f"killed-{call}", num_samples=45)
        if not killed_at(call, partial(make_set, f"killed-{call}", num_samples=70)):
            break
        make_set(f"killed-{call}", num_samples=70)
        assert digest(tmp_path / f"killed-{call}") == expected
        call += 2
    assert call > 20


def test_killed_again_and_again(tmp_path: Path, make_set, digest, killed_at) -> None:
    """Each run takes up what the one before left, and is killed a little later in its own course."""
    expected, calls = digest(make_set("whole")), iter(range(3, 1000))
    while killed_at(next(calls), lambda: make_set("set")):
        pass
    assert digest(tmp_path / "set") == expected


@pytest.mark.parametrize("parts", [1, 3])
def test_killed_at_random_moments(tmp_path: Path, whole: Path, digest, parts: int) -> None:
    expected, rng, kills = digest(whole), random.Random(parts), 0
    while True:
        process = start(tmp_path / "set", parts=parts, delay=0.02)
        try:
            assert process.wait(timeout=rng.uniform(0.4, 0.9) + 0.3 * kills) == 0
            break
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            kills += 1
    assert digest(tmp_path / "set") == expected

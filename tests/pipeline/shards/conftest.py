"""Damage, kills, and what the commands say to them."""

from __future__ import annotations

import io
import json
import os
import signal
import tarfile
import traceback
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from synthcl.cli import main
from synthcl.pipeline.shards import ShardRecorder, open_shard_set

SIZE = 16  # of the images of `make_set`


@pytest.fixture(scope="session")
def flip() -> Callable[[Path, int], None]:
    """Flips one bit of a file, at an offset that may count from the end."""

    def at(path: Path, offset: int) -> None:
        data = bytearray(path.read_bytes())
        data[offset] ^= 4
        path.write_bytes(bytes(data))

    return at


_STEPS = ("fsync", "link", "unlink", "replace", "rename", "ftruncate")


def _killed_at(call: int, work: Callable[[], object]) -> bool:
    child = os.fork()
    if child == 0:
        try:
            for name in _STEPS:
                setattr(os, name, _counted(getattr(os, name), call))
            work()
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    _, status = os.waitpid(child, 0)
    assert status in (0, signal.SIGKILL), "the work failed; see the traceback above"
    return status == signal.SIGKILL


_calls = 0


def _counted(real: Callable[..., object], kill_at: int) -> Callable[..., object]:
    def step(*arguments: object, **options: object) -> object:
        global _calls
        _calls += 1
        if _calls == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*arguments, **options)

    return step


@pytest.fixture(scope="session")
def killed_at() -> Callable[[int, Callable[[], object]], bool]:
    """Does some work in a forked process that is killed at its n-th call of what publication is made of (0: never).

    Returns whether it was killed, rather than done before. The kill comes before the call takes effect, in whichever
    thread that is.
    """
    return _killed_at


@pytest.fixture
def commands_refuse(tmp_path: Path) -> Callable[..., None]:
    """Holds `synthcl train --shards` and `synthcl shards verify` to exit code 1, a sentence, and nothing left as if
    whole: `commands_refuse(path, "000001.tar")`, with what the sentence must name."""

    def check(path: Path, named: str, *options: str, verify: bool = True) -> None:
        run = tmp_path / "run"
        train = [
            "train",
            "--data",
            "digits",
            "--image-size",
            str(SIZE),
            "--backbone",
            "resnet10-w8",
            "--batch-size",
            "20",
        ]
        train += ["--steps", "5", "--precision", "fp32", "--out", str(run), "--shards", str(path), *options]
        result = CliRunner().invoke(main, train)
        assert result.exit_code == 1 and result.stdout == "", result.output
        assert result.stderr.count("Error:") == 1 and "Traceback" not in result.output
        assert named in " ".join(result.stderr.split()), result.stderr
        assert not (run / "result.json").exists() and not (run / "encoder").exists()
        if verify:
            result = CliRunner().invoke(main, ["shards", "verify", str(path), "--decode", "--json"])
            report = json.loads(result.stdout)
            assert result.exit_code == 1 and not report["ok"] and report["errors"]

    return check


def _png(color: int, size: tuple[int, int] = (8, 8), kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, (color, color, color)).save(buffer, kind)
    return buffer.getvalue()


def _write_tar(path: Path, members: dict[str, bytes], format: int = tarfile.PAX_FORMAT, mtime: float = 0.5) -> None:
    """A tar as others write them, with extended headers."""
    path.parent.mkdir(exist_ok=True)
    with tarfile.open(path, "w", format=format) as file:
        for name, data in members.items():
            member = tarfile.TarInfo(name)
            member.size, member.mtime = len(data), mtime if format == tarfile.PAX_FORMAT else 0
            file.addfile(member, io.BytesIO(data))


@pytest.fixture(scope="session")
def png() -> Callable[..., bytes]:
    """An image file of one grey: `png(color, size, kind)`."""
    return _png


@pytest.fixture(scope="session")
def write_tar() -> Callable[..., None]:
    """Writes a tar as others write them: `write_tar(path, {name: bytes})`."""
    return _write_tar


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    """A set of ten steps of three samples each, with columns."""
    path = tmp_path / "recorded"
    with ShardRecorder(path, {"seed": 1}, samples_per_shard=8, workers=0) as recorder:
        recorder.rewind(0)
        for step in range(10):
            images = np.full((3, 1, 3, 4, 4), step, np.uint8)
            recorder.append(step, images, hardness=np.array([0, 1, np.nan]) + step, generator="ab"[step % 2])
        recorder.finish()
    return path


@pytest.fixture
def selected() -> Callable[[Path, str], list[int]]:
    """The indices of the samples of a set for which a condition holds."""

    def of(path: Path, where: str) -> list[int]:
        shards = open_shard_set(path, where=where)
        return shards.sample_indices(np.arange(len(shards))).tolist()

    return of

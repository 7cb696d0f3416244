"""What is tried again when the network fails, and what is told at once."""

import importlib.util
import sys

import fsspec
import pytest

from synthcl.pipeline.errors import DataError, UsageError
from synthcl.pipeline.shards import network
from synthcl.pipeline.shards.network import PAUSES, attempt, connect, is_refusal, is_url


class Answer(Exception):
    """An error of a web client."""

    def __init__(self, status: int) -> None:
        super().__init__(f"status {status}")
        self.status = status


class NoCredentialsError(Exception):
    pass


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    slept: list[float] = []
    monkeypatch.setattr(network.time, "sleep", slept.append)
    return slept


def failing(times: int, error: Exception):
    left = [error] * times

    def work(*arguments: object, **options: object) -> str:
        if left:
            raise left.pop()
        return "done"

    return work


@pytest.mark.parametrize(
    "error", [OSError(5, "InternalError"), TimeoutError(), ConnectionResetError("reset"), Answer(503)]
)
def test_what_passes_is_tried_again_after_growing_pauses(pauses: list[float], error: Exception) -> None:
    for times in range(len(PAUSES) + 1):
        pauses.clear()
        assert attempt(failing(times, error), "read x") == "done"
        assert pauses == list(PAUSES[:times])
    with pytest.raises(DataError, match=rf"^cannot write x://y: {type(error).__name__}.* tried 5 times.* continues$"):
        attempt(failing(9, error), "write x://y")
    assert list(PAUSES) == sorted(PAUSES) and sum(PAUSES) < 10


@pytest.mark.parametrize(
    "error", [PermissionError("denied."), Answer(401), Answer(403), NoCredentialsError("none found")]
)
def test_a_refusal_is_told_at_once(pauses: list[float], error: Exception) -> None:
    assert is_refusal(error)
    with pytest.raises(DataError, match=r"^cannot write x://y: access is refused \(.*[^.]\); check the credentials"):
        attempt(failing(1, error), "write x://y")
    assert pauses == []


@pytest.mark.parametrize("error", [FileNotFoundError("x"), DataError("x is damaged")])
def test_what_another_try_would_not_change_is_passed_on(pauses: list[float], error: Exception) -> None:
    assert not is_refusal(error)
    with pytest.raises(type(error)):
        attempt(failing(1, error), "read x")
    assert pauses == []


def test_urls() -> None:
    assert is_url("s3://bucket/set") and not is_url("shards/s3") and not is_url("/a:b/c")
    with pytest.raises(UsageError, match=r"cannot open nothing://x: .*nothing"):
        connect("nothing://x")


def test_listings_are_not_remembered() -> None:
    store, root = connect("memory://bucket/set/")
    assert root == "/bucket/set" and not store.dircache.use_listings_cache


def test_a_package_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fsspec.core, "url_to_fs", failing(9, ImportError("Install s3fs to access S3")))
    with pytest.raises(UsageError, match=r"^cannot open s3://b/x: it needs the package s3fs.*pip install s3fs"):
        connect("s3://b/x")
    with pytest.raises(UsageError, match=r"^cannot open gs://b/x: Install s3fs"):
        connect("gs://b/x")


def test_folders_need_no_fsspec() -> None:
    import subprocess

    code = "import sys, synthcl.pipeline.shards.writing.set_writer; sys.exit('fsspec' in sys.modules)"
    assert importlib.util.find_spec("fsspec") is not None
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0

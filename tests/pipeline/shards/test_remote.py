"""Sets elsewhere: through a bounded cache, checked on arrival."""

import errno
import http.server
import os
import pickle
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import fsspec
import numpy as np
import pytest

from synthcl.pipeline.errors import DataError, UsageError
from synthcl.pipeline.shards import network, open_shard_set, remote
from synthcl.pipeline.shards.remote import RemoteReadableSet


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SYNTHCL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(network.time, "sleep", lambda seconds: None)
    return tmp_path / "cache" / "shards"


@pytest.fixture
def path(make_set) -> Path:
    return make_set(num_samples=95, samples_per_shard=20)


@pytest.fixture
def server(path: Path) -> Iterator[str]:
    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments: object) -> None:
            super().__init__(*arguments, directory=str(path.parent))

        def log_message(self, *arguments: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http_server:
        thread = threading.Thread(target=http_server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{http_server.server_port}"
        http_server.shutdown()
        thread.join()


def in_memory(path: Path) -> str:
    files = fsspec.filesystem("memory")
    files.store.clear()
    files.pseudo_dirs[:] = [""]
    files.put(str(path), "/bucket/set", recursive=True)
    return "memory://bucket/set"


def check(url: str, render) -> None:
    shards = open_shard_set(url)
    indices = np.random.default_rng(0).permutation(95)
    assert (shards.read_views(indices).numpy() == render(indices)).all()
    assert shards.keys([94]) == ["0000000094"] and shards.path == url
    assert len(open_shard_set(url, where="sample_index > 90")) == 4
    assert (pickle.loads(pickle.dumps(shards)).read_views([3]).numpy() == render(np.array([3]))).all()


def test_http(server: str, render) -> None:
    check(f"{server}/set", render)


def test_file_url(path: Path, render) -> None:
    check(f"file://{path}", render)


def test_memory(path: Path, render) -> None:
    check(in_memory(path), render)


def test_the_cache_is_used_and_bounded(path: Path, cache: Path, render, monkeypatch: pytest.MonkeyPatch) -> None:
    url = in_memory(path)
    size = max(tar.stat().st_size for tar in path.glob("*.tar"))
    monkeypatch.setenv("SYNTHCL_CACHE_BYTES", str(2 * size))
    shards = open_shard_set(url)
    most = 0
    for index in np.random.default_rng(0).permutation(95):
        assert (shards.read_views([index]).numpy() == render(np.array([index]))).all()
        most = max(most, sum(tar.stat().st_size for tar in cache.glob("*.tar")))
    assert size < most <= 2 * size
    assert not list(cache.glob(".tmp-*"))
    kept = sorted(cache.glob("*.tar"))
    fsspec.filesystem("memory").rm("/bucket/set", recursive=True)  # what is cached needs no network
    named = {shard.sha256: i for i, shard in enumerate(shards.locator.shards)}
    again = pickle.loads(pickle.dumps(shards))
    for tar in kept:
        first = int(shards.locator.starts[named[tar.stem]])
        assert (again.read_views([first]).numpy() == render(np.array([first]))).all()


def test_the_tar_that_was_used_longest_ago_makes_room(path: Path, cache: Path) -> None:
    size = max(tar.stat().st_size for tar in path.glob("*.tar"))
    folder = RemoteReadableSet(in_memory(path), cache_bytes=2 * size)
    first, second, third = folder.manifest.shards[:3]
    for seconds, shard in enumerate((first, second)):
        os.utime(folder.tar(shard), (seconds, seconds))
    folder.tar(first)
    folder.tar(third)
    assert {tar.stem for tar in cache.glob("*.tar")} == {first.sha256, third.sha256}


def test_prefetch_brings_shards(path: Path, cache: Path) -> None:
    shards = open_shard_set(in_memory(path))
    shards.prefetch([5, 45, 46])
    shards.locator.folder._wanted.join()
    assert len(list(cache.glob("*.tar"))) == 2


def test_several_threads_fetch_a_shard_once(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = RemoteReadableSet(in_memory(path))
    fetched = []
    real = RemoteReadableSet._download
    monkeypatch.setattr(
        RemoteReadableSet, "_download", lambda self, name, *rest: (fetched.append(name), real(self, name, *rest))
    )
    threads = [threading.Thread(target=folder.tar, args=(folder.manifest.shards[0],)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert fetched == ["000000.tar"]


@pytest.mark.parametrize("number", [errno.ENOTSUP, errno.ENOLCK])
def test_without_locks_each_fetches_into_a_file_of_its_own(
    path: Path, cache: Path, render, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(remote.fcntl, "flock", refuse)
    folder, names, together = RemoteReadableSet(in_memory(path)), [], threading.Barrier(3)
    real = RemoteReadableSet._download

    def download(self: RemoteReadableSet, name: str, size: int, sha256: str, file: BinaryIO) -> None:
        together.wait(timeout=30)  # all have begun before one ends
        names.append(file.name)
        real(self, name, size, sha256, file)

    monkeypatch.setattr(RemoteReadableSet, "_download", download)
    threads = [threading.Thread(target=folder.tar, args=(folder.manifest.shards[0],)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(names)) == 3
    (tar,) = cache.glob("*.tar")
    assert tar.read_bytes() == (path / "000000.tar").read_bytes()
    monkeypatch.setattr(RemoteReadableSet, "_download", real)
    check(folder.name, render)
    assert not any(left.stat().st_size for left in cache.glob(".tmp-*"))


@pytest.mark.parametrize("harm", ["flip", "cut", "grow", "missing"])
def test_damage_on_the_way_is_named_and_not_kept(path: Path, cache: Path, flip, harm: str) -> None:
    tar = path / "000001.tar"
    if harm == "flip":
        flip(tar, 700)
    elif harm == "missing":
        tar.unlink()
    else:
        tar.write_bytes(tar.read_bytes()[:-512] if harm == "cut" else tar.read_bytes() + bytes(512))
    shards = open_shard_set(in_memory(path))
    shards.read_views([5])
    with pytest.raises(DataError, match=r"memory://bucket/set/000001.tar is (damaged|missing)"):
        shards.read_views([25])
    assert len(list(cache.glob("*.tar"))) == 1
    assert all(left.stat().st_size == 0 for left in cache.glob(".tmp-*"))


def test_a_network_that_fails_now_and_then(path: Path, render, monkeypatch: pytest.MonkeyPatch) -> None:
    url, failures = in_memory(path), iter([True, True, False] * 100)
    real = RemoteReadableSet._download

    def flaky(self: RemoteReadableSet, *arguments: object) -> None:
        if next(failures):
            raise TimeoutError("no answer")
        real(self, *arguments)

    monkeypatch.setattr(RemoteReadableSet, "_download", flaky)
    assert (open_shard_set(url).read_views([25]).numpy() == render(np.array([25]))).all()
    monkeypatch.setattr(RemoteReadableSet, "_download", lambda *a: (_ for _ in ()).throw(TimeoutError("no answer")))
    with pytest.raises(DataError, match=r"cannot read memory://bucket/set/.*TimeoutError no answer"):
        open_shard_set(url).read_views([65])


@pytest.mark.parametrize("url", ["nothing://x/y", "pipe://cat /etc/passwd"])
def test_urls_of_unknown_kinds(url: str) -> None:
    with pytest.raises(UsageError, match="cannot open"):
        open_shard_set(url)


def test_a_cache_that_is_too_small_for_a_window_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    size = max(tar.stat().st_size for tar in path.glob("*.tar"))
    monkeypatch.setenv("SYNTHCL_CACHE_BYTES", str(3 * size))
    shards = open_shard_set(in_memory(path))
    shards.check_cache(3)
    with pytest.raises(UsageError, match=rf"cache of {3 * size:,} bytes .* lower --shards-per-window"):
        shards.check_cache(4)
    open_shard_set(path).check_cache(1000)  # what is here needs no cache


def test_no_set_there(server: str, path: Path) -> None:
    shutil.rmtree(path / ".synthcl")
    with pytest.raises(DataError, match=r"shardset\.json is missing"):
        open_shard_set(f"{server}/set")

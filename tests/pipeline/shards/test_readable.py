"""The folder of a set: plain files of the right size, and no links."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from synthcl.pipeline.errors import DataError
from synthcl.pipeline.shards import open_shard_set
from synthcl.pipeline.shards.manifest import read_manifest
from synthcl.pipeline.shards.readable import LocalReadableSet, check_files, open_plain
from synthcl.pipeline.shards.writable import LocalWritableSet


def test_an_unreadable_shard_is_named(make_set, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make_set()
    shards = open_shard_set(path)
    real = os.open

    def refuse(name: object, *arguments: int) -> int:
        if str(name).endswith("000001.tar"):
            raise PermissionError(13, "Permission denied")
        return real(name, *arguments)

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(DataError, match=r"cannot read .*000001.tar: Permission denied"):
        shards.read_views([25])


def test_a_plain_file_of_the_right_size_is_opened(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"12345")
    (tmp_path / "link").symlink_to(file)
    for size in (None, 5):
        os.close(open_plain(file, size))
    with pytest.raises(DataError, match="is damaged: it has 5 bytes, and by the set's manifest 4"):
        open_plain(file, 4)
    with pytest.raises(DataError, match="is cut short: it has 5 bytes, and by the set's manifest 6"):
        open_plain(file, 6)
    with pytest.raises(DataError, match="is a link or not a plain file"):
        open_plain(tmp_path)
    for name in ("link", "nothing"):
        with pytest.raises(DataError, match=f"cannot read .*{name}"):
            open_plain(tmp_path / name)


def test_the_files_of_a_set(make_set) -> None:
    path = make_set()
    folder = LocalReadableSet(path)
    shard = folder.manifest.shards[1]
    assert folder.tar(shard) == path / "000001.tar"
    assert folder.sidecar(shard) == path / ".synthcl" / "000001.parquet"
    assert folder.tables() == {} and folder.prefetch([shard]) is None
    assert not folder.remote and folder.check_cache(3) is None


def test_files_are_those_that_the_manifest_lists(make_set) -> None:
    path = make_set()
    files, manifest = LocalWritableSet(path), read_manifest(path)
    (path / "other.tar").write_bytes(b"")
    (path / "notes.txt").write_bytes(b"")
    check_files(files, manifest)
    for kind, advice in (
        ("generated", "$"),
        ("recorded", "$"),
        ("adopted", ", or run `synthcl shards index .* to add"),
    ):
        with pytest.raises(DataError, match=rf"other\.tar is not in the set's manifest: move it away{advice}"):
            check_files(files, replace(manifest, kind=kind), no_others=True)
    (path / "other.tar").unlink()
    check_files(files, manifest, no_others=True)
    sidecar = path / ".synthcl" / "000001.parquet"
    data = sidecar.read_bytes()
    for content, wrong in ((b"", "is cut short: it has 0 bytes"), (data + b"x", "is damaged"), (None, "is missing")):
        sidecar.unlink() if content is None else sidecar.write_bytes(content)
        with pytest.raises(
            DataError, match=rf"000001\.parquet {wrong}.*; `synthcl shards verify .* lists what is damaged"
        ):
            check_files(files, manifest)
    sidecar.symlink_to(path / "elsewhere")
    with pytest.raises(DataError, match=r"000001\.parquet is a link"):
        check_files(files, manifest)

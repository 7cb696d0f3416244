"""The folder of a set: plain files of the right size, and no links."""

import os
from pathlib import Path

import pytest

from synthcl.pipeline.errors import DataError
from synthcl.pipeline.shards import open_shard_set
from synthcl.pipeline.shards.folder import LocalFolder, open_plain


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
    folder = LocalFolder(path)
    shard = folder.manifest.shards[1]
    assert folder.tar(shard) == path / "000001.tar"
    assert folder.sidecar(shard) == path / ".synthcl" / "000001.parquet"
    assert folder.tables() == {} and folder.prefetch([shard]) is None

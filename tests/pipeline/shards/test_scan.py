"""Scanning tars of unknown origin."""

import io
import tarfile
from pathlib import Path

import pytest
from PIL import Image

from synthcl.pipeline.errors import DataError
from synthcl.pipeline.shards import open_shard_set
from synthcl.pipeline.shards.writing.adopt import index_shards


def png(color: int, size: tuple[int, int] = (8, 8), kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, (color, color, color)).save(buffer, kind)
    return buffer.getvalue()


def write_tar(path: Path, members: dict[str, bytes], format: int = tarfile.PAX_FORMAT, mtime: float = 0.5) -> None:
    """A tar as others write them, with extended headers."""
    path.parent.mkdir(exist_ok=True)
    with tarfile.open(path, "w", format=format) as file:
        for name, data in members.items():
            member = tarfile.TarInfo(name)
            member.size, member.mtime = len(data), mtime if format == tarfile.PAX_FORMAT else 0
            file.addfile(member, io.BytesIO(data))


@pytest.mark.parametrize(
    ("tars", "message"),
    [
        ([{"1.png": png(1)}, {"1.png": png(2)}], r"the key '1' is in a\.tar and again in b\.tar"),
        ([{"1.png": png(1), "1.jpg": png(1, kind="JPEG")}], "two images of the key '1'"),
        ([{"1.png": png(1)}, {"2.view0.png": png(2), "2.view1.png": png(2)}], "samples of different numbers of images"),
        ([{"1.view1.png": png(1)}], "has a view 1 and no view 0"),
        ([{"1.png": b"not an image"}], r"cannot read 1\.png"),
        ([{"1.png": b""}], "has 0 bytes"),
        ([{"1.txt": b"text"}], "holds no images"),
    ],
)
def test_tars_that_are_no_set(tmp_path: Path, tars: list[dict[str, bytes]], message: str) -> None:
    for name, members in zip("ab", tars, strict=False):
        write_tar(tmp_path / "s" / f"{name}.tar", members)
    with pytest.raises(DataError, match=message):
        index_shards(tmp_path / "s")
    with pytest.raises(DataError):
        open_shard_set(tmp_path / "s")

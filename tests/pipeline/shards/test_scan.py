"""Scanning tars of unknown origin."""

from pathlib import Path

import pytest

from synthcl.pipeline.errors import DataError
from synthcl.pipeline.shards import open_shard_set
from synthcl.pipeline.shards.writing.adopt import index_shards

IMAGE = None  # in its place stands an image, of the kind that the member's name says


@pytest.mark.parametrize(
    ("tars", "message"),
    [
        ([{"1.png": IMAGE}, {"1.png": IMAGE}], r"the key '1' is in a\.tar and again in b\.tar"),
        ([{"1.png": IMAGE, "1.jpg": IMAGE}], "two images of the key '1'"),
        ([{"1.png": IMAGE}, {"2.view0.png": IMAGE, "2.view1.png": IMAGE}], "samples of different numbers of images"),
        ([{"1.view1.png": IMAGE}], "has a view 1 and no view 0"),
        ([{"1.png": b"not an image"}], r"cannot read 1\.png"),
        ([{"1.png": b""}], "has 0 bytes"),
        ([{"1.txt": b"text"}], "holds no images"),
    ],
)
def test_tars_that_are_no_set(tmp_path: Path, png, write_tar, tars, message: str) -> None:
    kinds = {"png": "PNG", "jpg": "JPEG"}
    for name, members in zip("ab", tars, strict=False):
        files = {member: png(1, kind=kinds[member[-3:]]) if data is IMAGE else data for member, data in members.items()}
        write_tar(tmp_path / "s" / f"{name}.tar", files)
    with pytest.raises(DataError, match=message):
        index_shards(tmp_path / "s")
    with pytest.raises(DataError):
        open_shard_set(tmp_path / "s")

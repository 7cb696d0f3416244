"""Chunks of a tar: members as tarfile reads them, with the places and checksums that sidecars hold."""

import io
import tarfile
import zlib

import numpy as np
import pytest

from synthcl.pipeline.images.encoding import Encoding, encode_images
from synthcl.pipeline.shards.layout import end_marker
from synthcl.pipeline.shards.writing.tar_chunk import encode_chunk


@pytest.mark.parametrize(("views", "names"), [(1, [".png"]), (2, [".view0.png", ".view1.png"])])
def test_a_chunk_is_a_piece_of_a_tar(render, views: int, names: list[str]) -> None:
    images = render(np.arange(7, 12), views)
    chunk = encode_chunk(7, images, Encoding("png"))
    files = encode_images(images.reshape(5 * views, *images.shape[2:]), Encoding("png"))
    with tarfile.open(fileobj=io.BytesIO(chunk.data + end_marker(len(chunk.data)))) as tar:
        members = tar.getmembers()
        assert [member.name for member in members] == [f"{i:010d}{name}" for i in range(7, 12) for name in names]
        assert [tar.extractfile(member).read() for member in members] == files
    assert chunk.offsets.shape == chunk.sizes.shape == chunk.crc32.shape == chunk.header_crc32.shape == (5, views)
    assert chunk.offsets.reshape(-1).tolist() == [member.offset_data for member in members]
    assert chunk.sizes.reshape(-1).tolist() == list(map(len, files))
    assert chunk.crc32.reshape(-1).tolist() == list(map(zlib.crc32, files))
    headers = [chunk.data[member.offset : member.offset_data] for member in members]
    assert chunk.header_crc32.reshape(-1).tolist() == list(map(zlib.crc32, headers))

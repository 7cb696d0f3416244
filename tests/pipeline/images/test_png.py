"""PNG as shards hold it: ordinary files for others, quick for us, and harmless when they are not ours."""

import io
import struct
import zlib
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from synthcl.pipeline.images.png import decode_pngs, encode_pngs


def photographs(n: int, height: int, width: int) -> np.ndarray:
    """Smooth images with some noise, where both filters occur."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[0:height, 0:width] / max(height, width)
    slopes = rng.uniform(-200, 200, (n, 3, 2, 1, 1))
    images = 128 + slopes[:, :, 0] * y + slopes[:, :, 1] * x + rng.normal(0, 3, (n, 3, height, width))
    return images.clip(0, 255).astype(np.uint8)


def pillow_png(image: np.ndarray, **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(image.transpose(1, 2, 0))).save(buffer, "PNG", **options)
    return buffer.getvalue()


@pytest.mark.parametrize("shape", [(5, 1, 1), (7, 8, 8), (40, 32, 32), (3, 5, 17), (2, 64, 64)])
def test_round_trip_and_pillow_agree(shape: tuple[int, int, int]) -> None:
    images = photographs(*shape)
    files = encode_pngs(images)
    decoded, which = decode_pngs(files, *shape[1:])
    assert which.all() and (decoded == images).all()
    for file, image in zip(files, images, strict=True):
        read = Image.open(io.BytesIO(file))
        assert read.mode == "RGB" and (np.asarray(read).transpose(2, 0, 1) == image).all()


def test_both_filters_are_used_and_pay() -> None:
    images = photographs(64, 32, 32)
    files = encode_pngs(images)
    filters = {zlib.decompress(file[41:-16])[row * 97] for file in files for row in range(32)}
    assert filters == {1, 2}
    pillow = sum(len(pillow_png(image)) for image in images)
    assert sum(map(len, files)) < 1.1 * pillow


def test_others_are_left_to_the_general_decoder() -> None:
    image = photographs(1, 16, 16)[0]
    ours = encode_pngs(image[None])[0]
    gray = io.BytesIO()
    Image.fromarray(image[0]).save(gray, "PNG")
    files = [
        pillow_png(image),  # Paeth
        encode_pngs(photographs(1, 17, 16))[0],  # another size
        gray.getvalue(),
        ours[:-5],
        b"",
        b"GIF89a",
        ours,
    ]
    decoded, which = decode_pngs(files, 16, 16)
    assert which.tolist() == [False] * 6 + [True]
    assert (decoded[6] == image).all()


@pytest.mark.parametrize("offset", [16, 28, 35, 60, 120, -14, -20])
def test_a_flipped_byte_is_not_decoded(offset: int) -> None:
    file = bytearray(encode_pngs(photographs(1, 16, 16))[0])
    file[offset] ^= 1
    assert not decode_pngs([bytes(file)], 16, 16)[1][0]


def test_a_bomb_is_not_unpacked(peak_memory: Callable[[], int]) -> None:
    bomb = zlib.compress(bytes(200_000_000), 9)
    file = encode_pngs(photographs(1, 16, 16))[0]
    file = file[:33] + struct.pack(">I", len(bomb)) + b"IDAT" + bomb + bytes(4) + file[-12:]
    before = peak_memory()
    assert not decode_pngs([file], 16, 16)[1][0]
    assert peak_memory() - before < 100e6

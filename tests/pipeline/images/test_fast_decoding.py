"""The fast decoders: the general decoder's pixels for usual files, and nothing for all others."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from synthcl.pipeline.images import decoding
from synthcl.pipeline.images.decoding import decode_images
from synthcl.pipeline.images.encoding import Encoding, encode_images
from synthcl.pipeline.images.fast_decoding import FAST_DECODERS, decode_in_threads


def encoded(image: np.ndarray, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(image.transpose(1, 2, 0))).save(buffer, kind, **options)
    return buffer.getvalue()


def patterns(n: int, size: int) -> np.ndarray:
    """Images (n, 3, size, size) uint8 with smooth and rough parts."""
    i = np.arange(n)[:, None, None, None]
    c, y, x = np.ogrid[0:3, 0:size, 0:size]
    return ((i * 7 + c * 31 + y * 3 + x * (5 + i % 4)) ^ (i * 13)).astype(np.uint8)


USUAL = [
    *[("jpg", {"quality": quality, "subsampling": kind}) for quality in (100, 90, 30) for kind in (0, 1, 2)],
    ("webp", {"lossless": True}),
    ("webp", {"quality": 80}),
]


@pytest.mark.parametrize("size", [16, 17, 40])
@pytest.mark.parametrize(("kind", "options"), USUAL)
def test_fast_decoders_give_what_the_general_one_gives(kind: str, options: dict[str, object], size: int) -> None:
    """To the bit: the same file is the same image, whoever decodes it."""
    images = patterns(9, size)
    files = [encoded(image, {"jpg": "JPEG", "webp": "WEBP"}[kind], **options) for image in images]
    fast, decoded = FAST_DECODERS[kind](files, size)
    assert decoded.all() and (fast == decode_images(files)).all()


@pytest.mark.parametrize("count", [0, 1, 5, 70])
@pytest.mark.parametrize("kind", ["jpg", "webp", "png"])
def test_threads_change_nothing(kind: str, count: int) -> None:
    files = encode_images(patterns(70, 16), Encoding(kind).resolved())
    for broken in (3, 69):
        files[broken] = files[broken][:50]
    images, decoded = decode_in_threads(kind, files[:count], 16, threads=1)
    assert np.flatnonzero(~decoded).tolist() == [broken for broken in (3, 69) if broken < count]
    for threads in (2, 3, 8):
        again, told = decode_in_threads(kind, files[:count], 16, threads=threads)
        assert (told == decoded).all() and torch.equal(again[told], images[told])


@pytest.mark.parametrize(("size", "parts"), [(64, 1), (65, 4)])
def test_large_images_are_split_over_the_cores(monkeypatch: pytest.MonkeyPatch, size: int, parts: int) -> None:
    """All cores have work, and small images, which threads would slow down, stay in one."""
    monkeypatch.setattr(decoding, "available_cores", lambda: 4)
    asked: list[int] = []
    real = FAST_DECODERS["png"]
    monkeypatch.setitem(FAST_DECODERS, "png", lambda files, size: (asked.append(len(files)), real(files, size))[1])
    decode_in_threads("png", encode_images(patterns(40, size), Encoding("png")), size)
    assert sorted(asked) == [40 // parts] * parts


@pytest.mark.parametrize("kind", ["jpg", "webp", "png"])
def test_unusual_files_are_left_to_the_general_decoder(kind: str) -> None:
    image = patterns(1, 16)[0]
    name = {"jpg": "JPEG", "webp": "WEBP", "png": "PNG"}[kind]
    usual = encoded(image, name)
    exif = Image.Exif()
    exif[0x0112] = 6  # turned
    strange = [
        encoded(image, name, exif=exif),
        encoded(patterns(1, 17)[0], name),  # another size
        encoded(image, "GIF"),
        usual[:40],
        usual[: len(usual) // 2],
        b"",
    ]
    if kind == "jpg":
        strange.append(encoded(image, name, progressive=True))
        # A frame of the right size where it is expected, hidden in a comment, and one of 60,000 pixels behind it.
        start = usual[:20] + b"\xff\xfe\x00\xa0" + usual[20:178]
        strange.append(start + usual[20:163] + b"\xea\x60\xea\x60" + usual[167:])
    assert not FAST_DECODERS[kind](strange, 16)[1].any()

"""Headers: format, size and simplicity of a file, read before any pixel."""

import numpy as np
import pytest
from PIL import Image

from synthcl.pipeline.images.headers import Header, check_png, read_header


@pytest.mark.parametrize(
    ("kind", "options", "simple"),
    [
        ("PNG", {}, False),  # never: Pillow decodes PNG
        ("JPEG", {}, True),
        ("JPEG", {"progressive": True}, True),
        ("WEBP", {}, True),
        ("WEBP", {"lossless": True}, True),
    ],
)
@pytest.mark.parametrize("exif", [False, True])
def test_format_size_and_simplicity(picture, encode, kind, options, simple, exif):
    extra = {}
    if exif:
        extra["exif"] = Image.Exif()
        extra["exif"][0x0112] = 6
    data = encode(picture(0, 20, 12), kind, **options, **extra)
    assert read_header(data) == read_header(memoryview(data)) == Header(kind, 20, 12, simple=simple and not exif)


def test_transparent_webp_is_not_simple(encode):
    data = encode(Image.new("RGBA", (4, 2), (1, 2, 3, 4)), "WEBP", lossless=True)
    assert read_header(data) == Header("WEBP", 4, 2, simple=False)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_a_header_that_is_cut_short_is_refused(picture, encode, kind):
    data = encode(picture(), kind)
    with pytest.raises(ValueError, match="header is cut short"):
        read_header(data[:21] if kind != "WEBP" else data[:24])


def test_other_formats_have_no_header_here(picture, encode):
    assert [read_header(data) for data in (b"", b"nothing", encode(picture(), "GIF"), encode(picture(), "BMP"))] == [
        None
    ] * 4


def test_each_altered_byte_of_a_png_is_noticed(picture, encode):
    data = encode(picture(0, 8))
    check_png(data)
    for position in np.arange(8, len(data) - 4, 5):
        altered = bytearray(data)
        altered[position] ^= 1
        with pytest.raises(ValueError, match=r"wrong checksum|truncated PNG"):
            check_png(altered)

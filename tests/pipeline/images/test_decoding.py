"""Decoding: the same pixels as Pillow's, and nothing damaged gets through."""

import io
import struct
import zlib

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

from synthcl.pipeline.errors import DataError
from synthcl.pipeline.images import decoding
from synthcl.pipeline.images.decoding import SAFE_FORMATS, decode_image, decode_images, image_dimensions, resize_images
from synthcl.pipeline.images.headers import read_header

KINDS = [
    ("JPEG", {}),
    ("JPEG", {"progressive": True}),
    ("PNG", {}),
    ("WEBP", {}),
    ("WEBP", {"lossless": True}),
    ("BMP", {}),
    ("GIF", {}),
    ("PPM", {}),
    ("TIFF", {}),
]


def hwc(images):
    return images.permute(0, 2, 3, 1).numpy()


@pytest.mark.parametrize(("kind", "options"), KINDS)
def test_pixels_are_those_of_pillow(picture, encode, kind, options):
    files = [encode(picture(seed, 20), kind, **options) for seed in range(3)]
    images = decode_images(files)
    assert images.shape == (3, 3, 20, 20)
    assert images.dtype == torch.uint8
    assert images.is_contiguous()
    expected = np.stack([np.asarray(Image.open(io.BytesIO(data)).convert("RGB")) for data in files])
    np.testing.assert_array_equal(hwc(images), expected)


@pytest.mark.parametrize(("kind", "options"), [k for k in KINDS if k[0] in SAFE_FORMATS])
@pytest.mark.parametrize("exif", [False, True])
def test_every_truncation_is_refused(picture, encode, kind, options, exif):
    extra = {"exif": Image.Exif()} if exif else {}
    if exif:
        extra["exif"][0x0112] = 3
    data = encode(picture(1, 24), kind, **options, **extra)
    decode_image(data)
    for length in [0, 1, 3, 11, 20, 30, len(data) // 4, len(data) // 2, *range(len(data) - 20, len(data))]:
        with pytest.raises(ValueError, match=r"truncated|damaged|cut short|no image"):
            decode_image(data[:length])


def test_an_altered_png_is_refused_and_does_not_crash(picture, encode):
    data = bytearray(encode(picture(), "PNG"))
    data[len(data) // 2] ^= 0x40
    with pytest.raises(ValueError, match="IDAT chunk is damaged"):
        decode_image(bytes(data))


def test_random_damage_never_crashes(picture, encode):
    random = np.random.default_rng(0)
    sources = [encode(picture(2, 24), kind, **options) for kind, options in KINDS[:5]]
    refused = 0
    for i in range(400):
        data = bytearray(sources[i % 5])
        for position in random.integers(2, len(data), size=4):
            data[position] = random.integers(256)
        try:
            assert decode_image(bytes(data)).dtype == np.uint8
        except ValueError:
            refused += 1
    assert refused > 100


def test_gray_palette_and_one_bit_become_rgb(picture, encode):
    gray = picture(3, mode="L")
    for image in (gray, gray.convert("P"), gray.convert("1"), picture(3).quantize(8)):
        np.testing.assert_array_equal(decode_image(encode(image)), np.asarray(image.convert("RGB")))
    pixels = decode_image(encode(gray, "JPEG"))
    assert pixels.shape == (16, 16, 3)
    assert (pixels[..., 0] == pixels[..., 1]).all()


@pytest.mark.parametrize(("kind", "options"), [("PNG", {}), ("WEBP", {"lossless": True, "exact": True})])
def test_transparency_is_laid_on_white(encode, kind, options):
    image = Image.new("RGBA", (2, 1), (200, 0, 100, 255))
    image.putpixel((0, 0), (10, 20, 30, 0))
    np.testing.assert_array_equal(decode_image(encode(image, kind, **options)), [[[255] * 3, [200, 0, 100]]])
    half = Image.new("RGBA", (1, 1), (0, 0, 0, 128))
    assert abs(int(decode_image(encode(half, kind, **options))[0, 0, 0]) - 127) <= 1


def test_transparent_palette_and_gray_are_laid_on_white(encode):
    palette = Image.new("P", (2, 1), 0)
    palette.putpalette([10, 20, 30, 40, 50, 60])
    palette.putpixel((1, 0), 1)
    np.testing.assert_array_equal(decode_image(encode(palette, transparency=0)), [[[255] * 3, [40, 50, 60]]])
    gray = Image.new("LA", (1, 1), (7, 0))
    np.testing.assert_array_equal(decode_image(encode(gray)), [[[255] * 3]])


def test_16_bits_keep_the_high_byte(encode):
    gray = Image.fromarray(np.array([[0, 255, 256, 65535]], dtype=np.uint16))
    np.testing.assert_array_equal(decode_image(encode(gray))[0, :, 0], [0, 0, 1, 255])
    np.testing.assert_array_equal(decode_image(encode(gray, "TIFF"))[0, :, 1], [0, 0, 1, 255])

    np.testing.assert_array_equal(decode_image(encode(gray, "PPM"))[0, :, 2], [0, 0, 1, 255])
    big_endian = Image.frombytes("I;16B", (2, 1), b"\x12\x34\xff\xff")
    np.testing.assert_array_equal(decode_image(encode(big_endian, "TIFF"))[0, :, 0], [0x12, 255])


@pytest.mark.parametrize(
    ("kind", "numbers"), [(np.int32, "32-bit or signed integers"), (np.float32, "floating-point numbers")]
)
def test_numbers_without_a_fixed_range_are_refused(encode, kind, numbers):
    gray = Image.fromarray(np.array([[0, 100, 255]], dtype=kind))
    with pytest.raises(ValueError, match=f"^images of {numbers} have no fixed range; convert them to 8 bits$"):
        decode_image(encode(gray, "TIFF"))


def test_16_bit_rgb_png():
    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    pixels = zlib.compress(b"\0" + struct.pack(">HHH", 0x1234, 0xFF00, 0x0080))
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 16, 2, 0, 0, 0))
    data = b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    np.testing.assert_array_equal(decode_image(data), [[[0x12, 0xFF, 0x00]]])


def test_cmyk_jpeg(picture, encode):
    image = picture(4).convert("CMYK")
    pixels = decode_image(encode(image, "JPEG", quality=100))
    assert np.abs(pixels.astype(int) - np.asarray(image.convert("RGB"))).mean() < 6


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_exif_orientation_is_applied(encode, kind, orientation):

    pixels = np.zeros((8, 16, 3), dtype=np.uint8)
    pixels[:4, :4] = 255
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encode(Image.fromarray(pixels), kind, exif=exif)
    expected = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB"))
    np.testing.assert_array_equal(decode_image(data), expected)
    if kind != "PNG":
        assert image_dimensions(data) == expected.shape[1::-1]


def test_resizing_is_the_short_side_then_the_centre(picture, encode):
    wide = picture(5, 64, 32)
    by_hand = wide.resize((16, 8), Image.Resampling.BICUBIC).crop((4, 0, 12, 8))
    difference = decode_image(encode(wide), 8).astype(int) - np.asarray(by_hand)
    assert np.abs(difference).max() <= 2
    assert decode_image(encode(picture(5, 5, 9)), 8).shape == (8, 8, 3)


def test_fast_and_slow_paths_resize_alike(picture, encode):
    data = encode(picture(6, 40, 30), "JPEG")
    assert read_header(data).simple
    slow = decoding._decode_pillow(data, 12, SAFE_FORMATS)
    np.testing.assert_array_equal(decode_image(data, 12), slow)
    whole = torch.from_numpy(decode_image(data).copy()).permute(2, 0, 1)[None]
    np.testing.assert_array_equal(hwc(resize_images(whole, 12))[0], slow)


def test_a_size_that_differs_is_named(picture, encode):
    files = [encode(picture(s, 16)) for s in range(40)] + [encode(picture(0, 20, 10))]
    with pytest.raises(DataError, match=r"image 40 is 20 x 10 pixels, but image 0 is 16 x 16: pass --image-size"):
        decode_images(files)
    assert decode_images(files, image_size=16).shape == (41, 3, 16, 16)


def test_threads_change_nothing_and_the_first_error_is_told(picture, encode):
    files = [encode(picture(s), "JPEG") for s in range(150)]
    one, four = (decode_images(files, threads=threads) for threads in (1, 4))
    assert torch.equal(one, four)
    files[140] = files[70] = b"nothing"
    for _ in range(5):
        with pytest.raises(DataError, match="cannot read image 70: it is no image"):
            decode_images(files, threads=4)


def test_memoryviews_and_no_images(picture, encode):
    data = encode(picture(), "JPEG")
    assert torch.equal(decode_images([memoryview(data)]), decode_images([data]))
    assert decode_images([]).shape == (0, 3, 0, 0)
    assert decode_images([], image_size=8).shape == (0, 3, 8, 8)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_bombs_are_refused_by_their_header(picture, encode, monkeypatch, kind):
    data = encode(picture(0, 64), kind)
    monkeypatch.setattr(decoding, "MAX_PIXELS", 64 * 64 - 1)
    with pytest.raises(DataError, match=r"cannot read image 0: it is 64 x 64 pixels, more than the 4,095"):
        decode_images([data])


def test_a_png_that_claims_to_be_enormous(picture, encode):
    data = bytearray(encode(picture()))
    data[16:24] = struct.pack(">II", 60_000, 60_000)
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    with pytest.raises(ValueError, match="60000 x 60000"):
        decode_image(bytes(data))


def test_formats_are_an_allow_list(picture, encode):
    for kind in ("GIF", "TIFF", "BMP"):
        with pytest.raises(ValueError, match="no image of a known format"):
            decode_image(encode(picture(), kind), formats=SAFE_FORMATS)
    with pytest.raises(ValueError, match="JPEG is not one of PNG"):
        decode_image(encode(picture(), "JPEG"), formats=("PNG",))
    with pytest.raises(ValueError, match="no image of a known format"):
        decode_image(encode(picture(), "EPS"))

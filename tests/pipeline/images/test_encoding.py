"""Encoding: files of the format and quality asked for, the same ones each time."""

import io
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from synthcl.pipeline.images.encoding import IMAGE_FORMATS, Encoding, encode_images

IMAGES = np.add.outer(np.arange(6), np.arange(3 * 16 * 16)).reshape(6, 3, 16, 16).astype(np.uint8)


@pytest.mark.parametrize(
    ("image_format", "quality", "lossless"),
    [("png", None, True), ("webp", None, True), ("webp", 90, False), ("jpg", 95, False)],
)
def test_files_are_of_the_format_and_hold_the_images(image_format: str, quality: int | None, lossless: bool) -> None:
    files = encode_images(IMAGES, Encoding(image_format, quality).resolved())
    assert files == encode_images(IMAGES, Encoding(image_format, quality).resolved())
    for file, image in zip(files, IMAGES, strict=True):
        read = Image.open(io.BytesIO(file))
        assert read.format == IMAGE_FORMATS[image_format]
        difference = np.abs(np.asarray(read).transpose(2, 0, 1).astype(int) - image)
        assert difference.max() == 0 if lossless else 0 < difference.mean() < 30


def test_jpg_has_a_default_quality_and_colour_at_full_resolution() -> None:
    assert Encoding("jpg").resolved().quality == 95
    read = Image.open(io.BytesIO(encode_images(IMAGES[:1], Encoding("jpg").resolved())[0]))
    assert [layer[1:3] for layer in read.layer] == [(1, 1)] * 3


def test_encoding_imports_no_torch() -> None:
    code = "import sys, synthcl.pipeline.images.encoding; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)

"""Decodes image files of any kind into one uint8 tensor.

Shapes: N images, H x W pixels; inside this module an image is (H, W, 3), outside of it (N, 3, H, W). All are uint8 RGB.

torchvision decodes JPEG and WebP files that have neither EXIF nor transparency, about four times as fast as Pillow on
32-pixel images. Pillow decodes everything else, PNG included: torchvision's PNG decoder (0.29 and before) crashes the
process on a damaged pixel stream, and is only a third faster.

Images that are not plain RGB are converted: gray is repeated, palettes are looked up, transparent pixels are laid on
white, 16-bit values keep their high byte, and CMYK is converted as Pillow does. Numbers without a fixed range are
refused: 32-bit and signed integers, and floating-point numbers. The EXIF orientation is applied. Of an animation the
first frame is taken.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor
from torchvision.io import ImageReadMode  # also registers torch.ops.image

from ..errors import DataError
from ..runtime.capacity import available_cores
from .headers import check_png, read_header

SAFE_FORMATS = ("JPEG", "PNG", "WEBP")
"""The formats that a tar or a shard set of unknown origin may hold (Pillow's names)."""

LOCAL_FORMATS = (*SAFE_FORMATS, "BMP", "GIF", "PPM", "TIFF")
"""The formats that the user's own folders may hold. Pillow's other formats run programs or parse vector graphics."""

MAX_PIXELS = 89_478_485
"""The largest image that is decoded, in pixels: Pillow's own threshold for a decompression bomb."""

CHUNK = 32  # images that a thread takes at once. Ours: fewer cost hand-overs, more leave threads idle at the end
_THREADED_PIXELS = 64 * 64 + 1
"""Images of at least this many pixels are decoded in several threads. Smaller ones are faster in one thread, since
threads wait for the interpreter lock. Ours, measured on two cores: PNG of 32 pixels 15,000 images/s with one thread and
9,600 with two; of 96 pixels 3,600 and 6,600."""
_RGB = ImageReadMode.RGB.value
_ORIENTATION = 0x0112  # EXIF tag
_TRANSPOSES = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def decode_images(
    encoded: Sequence[bytes | memoryview],
    *,
    image_size: int | None = None,
    describe: Callable[[int], str] = "image {}".format,
    threads: int | None = None,
    formats: Sequence[str] = LOCAL_FORMATS,
) -> Tensor:
    """Decode N encoded images into one tensor.

    Args:
        encoded: the files' bytes.
        image_size: pixels a side; images of another size are resized (short side, bicubic with antialiasing) and
            centre-cropped. None keeps the size of the first image, and all others must have it.
        describe: what to call image i of `encoded` in an error.
        threads: how many threads decode. None takes one thread if the first image is small, else one for each core of
            this process.
        formats: the formats that are accepted (Pillow's names).

    Returns:
        (N, 3, H, W) uint8 on the CPU; (0, 3, image_size or 0, image_size or 0) for no images.

    Raises:
        DataError: an image is truncated, damaged, of a format that is not accepted, too large, or, where no image size
            is given, not of the first image's size. `describe` names the image.
    """
    if not encoded:
        return torch.empty(0, 3, image_size or 0, image_size or 0, dtype=torch.uint8)
    first = _decode_named(encoded[0], 0, image_size, describe, formats)
    images = np.empty((len(encoded), *first.shape), dtype=np.uint8)
    images[0] = first

    def fill(start: int) -> None:
        for i in range(start, min(start + CHUNK, len(encoded))):
            image = _decode_named(encoded[i], i, image_size, describe, formats)
            if image.shape != first.shape:
                raise DataError(_size_mismatch(describe, i, image, first))
            images[i] = image

    run_in_threads(fill, range(1, len(encoded), CHUNK), threads or good_threads(_pixels(encoded[0])))
    return torch.from_numpy(images).permute(0, 3, 1, 2).contiguous()


def decode_image(
    data: bytes | memoryview, image_size: int | None = None, formats: Sequence[str] = LOCAL_FORMATS
) -> np.ndarray:
    """Decode one image to (H, W, 3) uint8; see `decode_images`.

    Raises:
        ValueError: the image cannot be decoded.
    """
    header = read_header(data)
    if header is not None:
        if header.format not in formats:
            raise ValueError(f"its format {header.format} is not one of {', '.join(formats)}")
        _check_pixels(header.width, header.height)
    if header is not None and header.simple:
        return _fit(_decode_fast(data, header.format), image_size)
    if header is not None and header.format == "PNG":
        check_png(data)
    return _decode_pillow(data, image_size, formats)


def image_dimensions(data: bytes | memoryview, formats: Sequence[str] = LOCAL_FORMATS) -> tuple[int, int]:
    """(width, height) in pixels of the decoded image, read from the header alone.

    Raises:
        ValueError: this is not an image, or its header is damaged.
    """
    header = read_header(data)
    if header is not None and (header.simple or header.format == "PNG"):
        return header.width, header.height
    image = _open_pillow(data, formats)
    return (image.height, image.width) if _orientation(image) >= 5 else image.size


def resize_images(images: Tensor, image_size: int) -> Tensor:
    """Resize and centre-crop images (N, 3, H, W) uint8 to (N, 3, S, S), exactly as `decode_images` does it."""
    if tuple(images.shape[2:]) == (image_size, image_size):
        return images
    pixels = images.permute(0, 2, 3, 1).contiguous().numpy()
    resized = np.empty((len(images), image_size, image_size, 3), dtype=np.uint8)

    def fill(start: int) -> None:
        for i in range(start, min(start + CHUNK, len(pixels))):
            resized[i] = _fit(pixels[i], image_size)

    run_in_threads(fill, range(0, len(pixels), CHUNK), available_cores())
    return torch.from_numpy(resized).permute(0, 3, 1, 2).contiguous()


def good_threads(pixels: int) -> int:
    """How many threads decode images of so many pixels best."""
    return available_cores() if pixels >= _THREADED_PIXELS else 1


def _pixels(data: bytes | memoryview) -> int:
    width, height = image_dimensions(data)
    return width * height


def _decode_named(
    data: bytes | memoryview, i: int, image_size: int | None, describe: Callable[[int], str], formats: Sequence[str]
) -> np.ndarray:
    try:
        return decode_image(data, image_size, formats)
    except ValueError as error:
        raise DataError(f"cannot read {describe(i)}: {error}") from error


def _size_mismatch(describe: Callable[[int], str], i: int, image: np.ndarray, first: np.ndarray) -> str:
    return (
        f"{describe(i)} is {image.shape[1]} x {image.shape[0]} pixels, but {describe(0)} is "
        f"{first.shape[1]} x {first.shape[0]}: pass --image-size to bring all images to one size"
    )


def _decode_fast(data: bytes | memoryview, kind: str) -> np.ndarray:
    # A bytearray, since torch warns of buffers that are read-only; copying a file costs a microsecond. The operators
    # are called directly: with torchvision's Python functions around them, JPEGs of 32 pixels take 1.2 to 1.4 times as
    # long, WebPs 1.1 times.
    buffer = torch.frombuffer(bytearray(data), dtype=torch.uint8)
    try:
        if kind == "JPEG":
            image = torch.ops.image.decode_jpeg(buffer, _RGB, False)
        else:
            image = torch.ops.image.decode_webp(buffer, _RGB)
    except RuntimeError as error:
        raise ValueError(f"it is truncated or damaged ({kind}, {len(data):,} bytes)") from error
    return image.numpy().transpose(1, 2, 0)  # (H, W, 3)


def _decode_pillow(data: bytes | memoryview, image_size: int | None, formats: Sequence[str]) -> np.ndarray:
    image = _open_pillow(data, formats)
    _check_pixels(*image.size)
    _check_range(image)
    try:
        image.load()
        transpose = _TRANSPOSES.get(_orientation(image))
        image = _to_rgb(image)
    except Exception as error:  # Pillow raises nearly anything on damaged data
        raise ValueError(f"it is truncated or damaged ({error})") from error
    if transpose is not None:
        image = image.transpose(transpose)
    return np.asarray(image) if image_size is None else np.asarray(_fit_pillow(image, image_size))


def _open_pillow(data: bytes | memoryview, formats: Sequence[str]) -> Image.Image:
    try:
        return Image.open(io.BytesIO(data), formats=tuple(formats))
    except Image.UnidentifiedImageError as error:
        raise ValueError(f"it is no image of a known format ({', '.join(formats)}), or it is damaged") from error
    except Exception as error:  # Pillow raises nearly anything on damaged data
        raise ValueError(f"its header is damaged ({error})") from error


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1 to 8; 1 if there is none or it cannot be read."""
    if "exif" not in image.info:  # TIFF has its orientation elsewhere, and Pillow applies it by itself
        return 1
    try:
        value = image.getexif().get(_ORIENTATION, 1)
    except (SyntaxError, ValueError, KeyError, TypeError, OSError):  # damaged metadata beside sound pixels
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _to_rgb(image: Image.Image) -> Image.Image:
    """Convert an image of any of Pillow's modes to RGB, as the module's docstring says."""
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if image.mode.startswith("I"):  # 16 bits, as `_check_range` has seen to
        return Image.fromarray((np.asarray(image).astype(np.int64) >> 8).clip(0, 255).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    return image.convert("RGB")


def _check_range(image: Image.Image) -> None:
    """Raises ValueError unless it is known which of an image's values are black and white."""
    kind = "floating-point numbers" if image.mode == "F" else None
    if image.mode == "I" and image.format not in ("PNG", "PPM"):  # whose 16 bits Pillow (or older ones) opens as I
        kind = "32-bit or signed integers"
    if kind is not None:
        raise ValueError(f"images of {kind} have no fixed range; convert them to 8 bits")


def _check_pixels(width: int, height: int) -> None:
    if width < 1 or height < 1:
        raise ValueError(f"it says that it is {width} x {height} pixels")
    if width * height > MAX_PIXELS:
        raise ValueError(f"it is {width} x {height} pixels, more than the {MAX_PIXELS:,} that are decoded")


def _fit(image: np.ndarray, image_size: int | None) -> np.ndarray:
    if image_size is None or image.shape[:2] == (image_size, image_size):
        return image
    return np.asarray(_fit_pillow(Image.fromarray(np.ascontiguousarray(image)), image_size))


def _fit_pillow(image: Image.Image, image_size: int) -> Image.Image:
    """Resize the central square. This is resizing the short side and cropping the centre, in one step."""
    return ImageOps.fit(image, (image_size, image_size), Image.Resampling.BICUBIC)


def run_in_threads(work: Callable[[int], None], starts: range, threads: int) -> None:
    """Call `work` for every start. Of several errors, the first in order is raised, whatever the threads' timing."""
    if threads < 2 or len(starts) < 2:
        for start in starts:
            work(start)
        return
    futures = [_pool(threads, os.getpid()).submit(work, start) for start in starts]
    for future in futures:
        future.result()


@lru_cache(maxsize=4)
def _pool(threads: int, pid: int) -> ThreadPoolExecutor:
    """A pool that is kept between calls, one for each process, since threads do not survive a fork."""
    return ThreadPoolExecutor(threads, thread_name_prefix="decode")

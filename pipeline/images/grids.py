"""Grids of images as PNG files: `save_grid` and `save_sections` write them, `read_grid` reads their images back.

Shapes: N samples of V images each, S pixels a side. The V images of a sample touch; a gutter is between samples.
"""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo
from torch import Tensor
from torchvision.transforms.functional import pil_to_tensor, to_pil_image

from ..errors import DataError
from ..files import write_file

SMALLEST_SIDE = 64
"""Images with fewer pixels a side are enlarged, each pixel to a square, so that people can see them. Ours."""

PADDING = 2
"""Pixels between images. Ours."""
PAIR_PADDING = 8
"""Pixels between samples of two images, which touch each other. Ours."""
FONT_SIZE = 13
"""Size of the words in a picture, in pixels; captions are two pixels smaller."""
SMALLEST_WIDTH = 320
"""Pixels that a picture with words is wide at least. Ours."""
LAYOUT = "synthcl-grid"
"""The text chunk of a PNG that holds the places of its images, for `read_grid`."""


@dataclass(frozen=True)
class Section:
    """Samples in a grid, under a heading.

    Attributes:
        images: (N, 3, S, S), or (N, V, 3, S, S): uint8, or floats in [-1, 1].
        heading: words above; "" for none.
        captions: words below each sample; () for none.
        stacked: whether the images of a sample are one above the other, and not side by side.
    """

    images: Tensor
    heading: str = ""
    captions: Sequence[str] = ()
    stacked: bool = False


def save_grid(images: Tensor, path: Path, *, columns: int = 8) -> None:
    """Write images as a PNG grid without words. The folder is made if it is missing.

    Args:
        images: (N, 3, S, S) float in [-1, 1], or uint8.
        path: the PNG file to write.
        columns: images a row.

    Raises:
        DataError: the place cannot be written.
    """
    save_sections([Section(images)], path, columns=columns)


def save_sections(sections: Sequence[Section], path: Path, *, title: str = "", columns: int = 8) -> None:
    """Write grids below each other as one PNG, with words. The folder is made if it is missing.

    Args:
        sections: the grids; `read_grid` reads those of the last one.
        path: the PNG file to write.
        title: words above all.
        columns: samples a row.

    Raises:
        DataError: the place cannot be written.
    """
    picture, places = _draw(sections, title, columns)
    info, buffer = PngInfo(), io.BytesIO()
    info.add_text(LAYOUT, json.dumps(places))
    picture.save(buffer, format="PNG", pnginfo=info)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_file(path, buffer.getvalue())
    except (FileExistsError, NotADirectoryError):
        raise DataError(f"cannot write the picture {path}: {path.parent} is a file; give a path in a folder") from None
    except OSError as error:
        raise DataError(f"cannot write the picture {path}: {error.strerror}") from None


def read_grid(path: Path, image_size: int, num_images: int, *, columns: int = 8) -> Tensor:
    """Read the first images of a grid, from left to right and row by row, at their own size.

    Args:
        path: the PNG file.
        image_size: pixels a side of the images that the grid was made of (S).
        num_images: how many images to read (N), at most as many as there are.
        columns: images a row of a grid that does not tell its places: one that an earlier version wrote.

    Returns:
        (N, 3, S, S) uint8.
    """
    with Image.open(path) as picture:
        pixels = pil_to_tensor(picture.convert("RGB"))
        layout = getattr(picture, "text", {}).get(LAYOUT)
    scale = _scale(image_size)
    side = image_size * scale
    if layout is not None:
        places = json.loads(layout)
    else:
        step = side + PADDING
        places = [[PADDING + n * step for n in divmod(number, columns)] for number in range(num_images)]
    found = [pixels[:, top : top + side : scale, left : left + side : scale] for top, left in places[:num_images]]
    return torch.stack(found)


def _draw(sections: Sequence[Section], title: str, columns: int) -> tuple[Image.Image, list[tuple[int, int]]]:
    """The picture, and the top and left of the images of the last section, row by row."""
    grids = [_Grid(section, columns) for section in sections]
    words = bool(title) or any(section.heading for section in sections)
    width = max([grid.width for grid in grids] + ([SMALLEST_WIDTH] if words else []))
    font = ImageFont.load_default(FONT_SIZE)
    lines = [_wrap(text, font, width - 2 * PAIR_PADDING) for text in (title, *(s.heading for s in sections))]
    heights = [_line_height(FONT_SIZE) * len(text) for text in lines]
    picture = Image.new("RGB", (width, sum(heights) + sum(grid.height for grid in grids)), "white")
    draw, top = ImageDraw.Draw(picture), 0
    places: list[tuple[int, int]] = []
    for number, (text, height) in enumerate(zip(lines, heights, strict=True)):
        for row, line in enumerate(text):
            colour = "#111111" if number == 0 else "#444444"
            draw.text((PADDING + 2, top + 3 + row * _line_height(FONT_SIZE)), line, fill=colour, font=font)
        top += height
        if number:
            places = grids[number - 1].paste(picture, draw, top)
            top += grids[number - 1].height
    return picture, places


class _Grid:
    """Where the images of a section go, from the top left of the section on."""

    def __init__(self, section: Section, columns: int) -> None:
        images = section.images.detach().cpu()
        if images.dtype != torch.uint8:
            images = (images.float().clamp(-1, 1) * 0.5 + 0.5).mul(255).round().to(torch.uint8)
        self.images = images if images.ndim == 5 else images[:, None]
        self.captions, self.stacked = section.captions, section.stacked
        count, views = self.images.shape[:2]
        self.scale = _scale(images.shape[-1])
        self.side = images.shape[-1] * self.scale
        self.padding = PADDING if views == 1 else PAIR_PADDING
        across, down = (1, views) if section.stacked else (views, 1)
        caption = _line_height(FONT_SIZE - 2) if section.captions else 0
        self.columns = min(columns, max(count, 1))
        self.step = (self.side * down + caption + self.padding, self.side * across + self.padding)
        rows = -(-count // self.columns)
        self.height = rows * self.step[0] + self.padding
        self.width = self.columns * self.step[1] + self.padding

    def paste(self, picture: Image.Image, draw: ImageDraw.ImageDraw, top: int) -> list[tuple[int, int]]:
        """Draw the section from `top` on; the top and left of its images, row by row."""
        font = ImageFont.load_default(FONT_SIZE - 2)
        places = []
        for number, sample in enumerate(self.images):
            row, column = divmod(number, self.columns)
            y, x = top + self.padding + row * self.step[0], self.padding + column * self.step[1]
            for view, image in enumerate(sample):
                place = (y + view * self.side, x) if self.stacked else (y, x + view * self.side)
                large = image.repeat_interleave(self.scale, -1).repeat_interleave(self.scale, -2)
                picture.paste(to_pil_image(large), (place[1], place[0]))
                places.append(place)
            if self.captions:
                bottom = y + self.step[0] - self.padding - _line_height(FONT_SIZE - 2)
                draw.text((x + 1, bottom + 1), self.captions[number], fill="#222222", font=font)
        return sorted(places)


def _wrap(text: str, font: ImageFont.ImageFont | ImageFont.FreeTypeFont, width: int) -> list[str]:
    """The text in lines of at most `width` pixels, as far as its words allow."""
    lines: list[str] = []
    for word in text.split():
        if lines and font.getlength(f"{lines[-1]} {word}") <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines


def _line_height(size: int) -> int:
    return size + 5


def _scale(image_size: int) -> int:
    return max(1, SMALLEST_SIDE // image_size)

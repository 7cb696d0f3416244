"""Scans a tar of unknown origin for its samples: their keys, places and checksums. It trusts nothing in the tar.

A tar may hold `KEY.png` (or jpg, jpeg, webp), or `KEY.view0.png`, `KEY.view1.png` and so on, and beside them `KEY.cls`,
`KEY.json` and `KEY.txt`. Everything else is refused, since WebDataset's decoders unpickle some kinds of members.
"""

from __future__ import annotations

import mmap
import re
import zlib
from dataclasses import dataclass
from pathlib import Path

from ..data.tarindex import Member, index_tar
from ..data.tars import MAX_CLASS_BYTES, TAR_IMAGE_EXTENSIONS, split_member_name
from ..errors import DataError
from ..images.decoding import SAFE_FORMATS, image_dimensions
from .layout import BLOCK
from .manifest import MAX_VIEWS_PER_SAMPLE
from .sidecar import MAX_IMAGE_BYTES

_BESIDE = ("cls", "json", "txt")
_VIEW = re.compile(r"view(?P<number>0|[1-9]\d?)\.(?P<format>[a-z]+)")
_MAX_NAME = 255


@dataclass(frozen=True)
class ScannedImage:
    """An image in a tar: its place, its checksums, and its format and size in pixels (width, height)."""

    offset: int
    size: int
    crc32: int
    header_crc32: int
    extension: str
    dimensions: tuple[int, int]


@dataclass(frozen=True)
class ScannedSample:
    """A sample in a tar: its images in the order of their views, and its class, or None."""

    key: str
    images: tuple[ScannedImage, ...]
    label: str | None


def scan_tar(path: Path) -> list[ScannedSample]:
    """The samples of a tar, in order.

    Raises:
        DataError: the tar is damaged, cut short, compressed or not a tar; or a member is a link, leads out of the
            folder, or is of a kind that shard sets do not hold; or an image is too large; or two have one name.
    """
    if path.is_symlink():
        raise DataError(f"{path} is a link; a shard set keeps everything in its own folder")
    images: dict[str, dict[int, tuple[Member, str]]] = {}
    labels: dict[str, Member] = {}
    for member in index_tar(path, strict=True):
        key, extension = _split(member, path)
        if extension in _BESIDE:
            if extension == "cls":
                labels[key] = member
            continue
        view, extension = _view(extension, member, path)
        if view in images.setdefault(key, {}):
            raise DataError(f"{path} holds two images of the key {key!r}: {member.name} comes again")
        images[key][view] = member, extension
    if not images:
        raise DataError(f"{path} holds no images (KEY.{', KEY.'.join(TAR_IMAGE_EXTENSIONS)})")
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return [_sample(data, path, key, views, labels.get(key)) for key, views in images.items()]


def _split(member: Member, path: Path) -> tuple[str, str]:
    name = member.name
    if name.startswith("/") or ".." in name.split("/") or len(name) > _MAX_NAME or not name.isprintable():
        raise DataError(f"{path} holds a member {name[:80]!r}: a name must stay in its folder and be printable")
    return split_member_name(name.removeprefix("./"))


def _view(extension: str, member: Member, path: Path) -> tuple[int, str]:
    """An image's view number in its sample, and its format."""
    match = _VIEW.fullmatch(extension)
    view, kind = (int(match["number"]), match["format"]) if match else (0, extension)
    if kind not in TAR_IMAGE_EXTENSIONS:
        raise DataError(
            f"{path} holds {member.name!r}; shard sets hold images ({', '.join(TAR_IMAGE_EXTENSIONS)}) and beside them "
            f"{', '.join(_BESIDE)}: repack it without the rest"
        )
    if not 0 < member.size <= MAX_IMAGE_BYTES:
        raise DataError(f"{member.name} of {path} has {member.size:,} bytes; an image has 1 to {MAX_IMAGE_BYTES:,}")
    return view, kind


def _sample(
    data: mmap.mmap, path: Path, key: str, views: dict[int, tuple[Member, str]], label: Member | None
) -> ScannedSample:
    if sorted(views) != list(range(len(views))):
        missing = min(set(range(len(views))) - set(views))
        raise DataError(f"sample {key!r} of {path} has a view {max(views)} and no view {missing}")
    if len(views) > MAX_VIEWS_PER_SAMPLE:
        raise DataError(
            f"sample {key!r} of {path} has {len(views)} images; a sample has at most {MAX_VIEWS_PER_SAMPLE}"
        )
    images = []
    for member, extension in (views[view] for view in sorted(views)):
        content = data[member.offset : member.offset + member.size]
        try:
            dimensions = image_dimensions(content, SAFE_FORMATS)
        except ValueError as error:
            raise DataError(f"cannot read {member.name} of {path}: {error}") from error
        header = zlib.crc32(data[member.offset - BLOCK : member.offset])
        images.append(ScannedImage(member.offset, member.size, zlib.crc32(content), header, extension, dimensions))
    return ScannedSample(key, tuple(images), None if label is None else _class(data, path, label))


def _class(data: mmap.mmap, path: Path, member: Member) -> str:
    if member.size > MAX_CLASS_BYTES:
        raise DataError(f"{member.name} of {path} has {member.size:,} bytes: a class is a number or a name")
    return data[member.offset : member.offset + member.size].decode("utf-8", "replace").strip()

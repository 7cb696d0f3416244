"""Someone else's set runs nothing, reaches nothing outside its folder, and costs no more than a refusal."""

import gzip
import io
import os
import pickle
import struct
import tarfile
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from synthcl.cli import main
from synthcl.pipeline.errors import DataError
from synthcl.pipeline.files import file_sha256
from synthcl.pipeline.shards import open_shard_set
from synthcl.pipeline.shards.manifest import Manifest, read_manifest
from synthcl.pipeline.shards.status import entry_of_sidecar
from synthcl.pipeline.shards.verify import verify_shard_set
from synthcl.pipeline.shards.writing.adopt import index_shards


@pytest.fixture(autouse=True, scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Have the commands import what they use first, so that its memory does not count as a refusal's."""
    path = tmp_path_factory.mktemp("imported")
    train = ["train", "--data", "digits", "--image-size", "16", "--backbone", "resnet10-w8", "--batch-size", "20"]
    result = CliRunner().invoke(main, [*train, "--steps", "1", "--precision", "fp32", "--out", str(path / "run")])
    assert result.exit_code == 0, result.output
    result = CliRunner().invoke(main, ["shards", "verify", str(path)])
    assert result.exit_code == 1


@pytest.fixture(autouse=True)
def bounded(peak_memory: Callable[[], int]) -> Iterator[None]:
    """Every refusal within seconds, with less than 100 MB."""
    start = time.monotonic()
    yield
    assert time.monotonic() - start < 10 and peak_memory() < 100e6


SPRUNG = Path(tempfile.mkdtemp()) / "sprung"


class Trap:
    """Unpickling it makes a file."""

    def __reduce__(self):
        return os.mkdir, (str(SPRUNG),)


@pytest.fixture(autouse=True)
def trap() -> Iterator[None]:
    yield
    assert not SPRUNG.exists()


def image(size: int = 8) -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    Image.new("RGB", (size, size)).save(buffer, "PNG")
    return buffer.getvalue()


def huge_png(width: int = 13_000, height: int = 13_000) -> bytes:
    """A few kilobytes that unpack to half a gigabyte."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(bytes(10**6)))
        + chunk(b"IEND", b"")
    )


def member(name: str, data: bytes = b"", **facts: object) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    for fact, value in facts.items():
        setattr(info, fact, value)
    return info, data


def tar_bytes(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as file:
        for info, data in members:
            file.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def negative_size() -> bytes:
    """A header whose size is minus one block, so that a naive reader comes back to it forever."""
    info = tarfile.TarInfo("1.png")
    header = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    header[124:136] = b"\xff" * 10 + (-512 & 0xFFFF).to_bytes(2, "big")
    header[148:156] = b" " * 8
    header[148:156] = f"{sum(header):06o}\0 ".encode()
    return bytes(header) + bytes(10_240)


GOOD = member("0.png", image())
HOSTILE_TARS: dict[str, tuple[bytes, str]] = {
    "pickle": (tar_bytes(GOOD, member("0.pkl", pickle.dumps(Trap()))), "0.pkl"),
    "pyd": (tar_bytes(GOOD, member("0.pyd", pickle.dumps(Trap()))), "0.pyd"),
    "torch": (tar_bytes(GOOD, member("0.pth", pickle.dumps(Trap()))), "0.pth"),
    "gz member": (tar_bytes(GOOD, member("0.png.gz", gzip.compress(image()))), "0.png.gz"),
    "parent": (tar_bytes(GOOD, member("../../1.png", image())), "stay in its folder"),
    "absolute": (tar_bytes(GOOD, member("/etc/1.png", image())), "stay in its folder"),
    "symlink": (tar_bytes(GOOD, member("1.png", type=tarfile.SYMTYPE, linkname="/etc/passwd")), "link or a device"),
    "hard link": (tar_bytes(GOOD, member("1.png", type=tarfile.LNKTYPE, linkname="/etc/passwd")), "link or a device"),
    "device": (tar_bytes(GOOD, member("1.png", type=tarfile.CHRTYPE)), "link or a device"),
    "control characters": (tar_bytes(GOOD, member("1\x1b[2J.png", image())), "printable"),
    "gzip as tar": (gzip.compress(tar_bytes(GOOD, member("1.png", os.urandom(5000)))), "no uncompressed tar"),
    "negative size": (negative_size(), "size"),
    "13,000 x 13,000": (tar_bytes(GOOD, member("1.png", huge_png())), None),
    "not a tar": (b"\x7fELF" * 1000, "no uncompressed tar"),
    "empty": (b"", "empty"),
    "no end": (tar_bytes(GOOD)[:1024], "cut short"),
}


@pytest.mark.parametrize("name", HOSTILE_TARS)
def test_hostile_tars_are_refused(tmp_path: Path, commands_refuse, name: str) -> None:
    data, message = HOSTILE_TARS[name]
    (tmp_path / "a.tar").write_bytes(data)
    if message is None:  # adopting reads headers alone; unpacking is what is refused
        index_shards(tmp_path)
        with pytest.raises(DataError, match="13000 x 13000"):
            open_shard_set(tmp_path, image_size=8).read_views([0, 1])
        report = verify_shard_set(tmp_path, decode=True)
        assert [error.key for error in report.errors] == ["1"]
        commands_refuse(tmp_path, "13000 x 13000", "--batch-size", "4")
        return
    with pytest.raises(DataError, match=message):
        index_shards(tmp_path)
    assert not list((tmp_path / ".synthcl").iterdir())
    result = CliRunner().invoke(main, ["shards", "index", str(tmp_path)])
    assert result.exit_code == 1 and result.stderr.count("Error:") == 1 and "Traceback" not in result.output
    commands_refuse(tmp_path, "is no shard set")


def test_links_in_the_folder_are_not_followed(tmp_path: Path, make_set) -> None:
    path, other = make_set(), make_set("other")
    (path / "000001.tar").unlink()
    (path / "000001.tar").symlink_to(other / "000001.tar")
    with pytest.raises(DataError, match=r"000001\.tar is a link"):
        open_shard_set(path)
    assert not verify_shard_set(path).ok
    path = make_set("sidecar")
    (path / ".synthcl" / "000001.parquet").unlink()
    (path / ".synthcl" / "000001.parquet").symlink_to(other / ".synthcl" / "000001.parquet")
    with pytest.raises(DataError, match=r"000001\.parquet is a link"):
        open_shard_set(path)
    path = make_set("manifest")
    (path / ".synthcl").rename(tmp_path / "elsewhere")
    (path / ".synthcl").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DataError, match="is a link"):
        open_shard_set(path)
    (tmp_path / "adopted").mkdir()
    (tmp_path / "adopted" / "a.tar").symlink_to(other / "000000.tar")
    with pytest.raises(DataError, match="is a link"):
        index_shards(tmp_path / "adopted")


def test_a_link_put_in_after_opening_is_not_followed(make_set) -> None:
    path, other = make_set(), make_set("other")
    shards = open_shard_set(path)
    (path / "000001.tar").unlink()
    (path / "000001.tar").symlink_to(other / "000001.tar")
    with pytest.raises(DataError, match=r"cannot read .*000001\.tar"):
        shards.read_views([25])


def rewrite(path: Path, change: Callable[[Manifest], Manifest]) -> None:
    """Give a set a manifest of one's own, with the checksum that belongs to it."""
    (path / ".synthcl" / "shardset.json").write_text(change(read_manifest(path)).to_json())


def with_first(manifest: Manifest, **facts: object) -> Manifest:
    return replace(manifest, shards=(replace(manifest.shards[0], **facts), *manifest.shards[1:]))


@pytest.mark.parametrize(
    "name",
    [
        "pipe:cat /etc/passwd",
        "http://127.0.0.1/a.tar",
        "../other/000000.tar",
        "/etc/passwd",
        "a/b.tar",
        "",
        "x" * 300,
        "-x.tar",
    ],
)
def test_names_in_a_manifest_stay_in_the_folder(make_set, commands_refuse, name: str) -> None:
    path = make_set()
    rewrite(path, lambda manifest: with_first(manifest, name=name))
    with pytest.raises(DataError, match="names a shard"):
        open_shard_set(path)
    commands_refuse(path, "names a shard")


@pytest.mark.parametrize(
    "change",
    [
        lambda c: with_first(c, num_samples=10**15),
        lambda c: with_first(c, num_samples=-5),
        lambda c: with_first(c, size=-1),
        lambda c: with_first(c, size="big"),
        lambda c: with_first(c, sha256="../../x"),
        lambda c: with_first(c, name=c.shards[1].name),
        lambda c: replace(c, num_samples=10**12),
        lambda c: replace(c, views_per_sample=1000),
        lambda c: replace(c, image_format="pkl"),
        lambda c: replace(c, image_size=-3),
        lambda c: replace(c, kind="evil"),
    ],
)
def test_impossible_facts_in_a_manifest(make_set, change: Callable[[Manifest], Manifest]) -> None:
    path = make_set()
    rewrite(path, change)
    with pytest.raises(DataError, match=r"shardset\.json"):
        open_shard_set(path)


def forge_sidecar(path: Path, change: Callable[[dict[str, np.ndarray]], None], kind: str = "generated") -> None:
    """Change columns of the first sidecar, and the manifest so that all checksums are right again."""
    sidecar = path / ".synthcl" / "000000.parquet"
    table = pq.read_table(sidecar)
    columns = {name: table[name].to_numpy().copy() for name in table.column_names}
    change(columns)
    pq.write_table(pa.table(columns).replace_schema_metadata(table.schema.metadata), sidecar)
    entry, _ = entry_of_sidecar(sidecar.read_bytes(), str(sidecar))
    rewrite(path, lambda c: replace(c, kind=kind, shards=(entry, *c.shards[1:])))


@pytest.mark.parametrize("kind", ["generated", "adopted"])
@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("offset", 10**12, "points outside"),
        ("offset", 2**63 - 100, "points outside"),
        ("offset", -4096, "points outside"),
        ("offset", 0, "points outside|overlap"),
        ("offset", 1024, "overlap|gaps"),
        ("size", 2**40, "members of"),
        ("size", -1, "members of"),
        ("size", 0, "members of"),
    ],
)
def test_offsets_outside_or_overlapping(
    make_set, commands_refuse, kind: str, column: str, value: int, message: str
) -> None:
    path = make_set()
    forge_sidecar(path, lambda columns: columns[column].__setitem__(5, value), kind)
    with pytest.raises(DataError, match=message):
        open_shard_set(path).read_views([0])
    commands_refuse(path, "000000.parquet is not sound")


def test_a_gzip_in_the_place_of_a_tar(make_set, commands_refuse) -> None:
    """Of the right length, and with the manifest's checksum of the tar put right."""
    path = make_set()
    tar = path / "000000.tar"
    packed = gzip.compress(tar.read_bytes())
    tar.write_bytes(packed + bytes(tar.stat().st_size - len(packed)))
    rewrite(path, lambda c: with_first(c, sha256=file_sha256(tar)))
    with pytest.raises(DataError, match=r"sample '0000000000'.*000000\.tar"):
        open_shard_set(path).read_views([0])
    commands_refuse(path, "000000.tar")


def test_nothing_can_hide_between_the_images_of_a_set_of_ours(make_set) -> None:
    """A pickle between two images would be found by a reader that goes from header to header."""
    path = make_set()
    shards = open_shard_set(path)
    places = shards.locator.places(0)
    start = int(places.offsets[10, 0]) - 512
    data = (path / "000000.tar").read_bytes()
    hidden = tar_bytes(member("x.pkl", pickle.dumps(Trap())))[:1024]
    (path / "000000.tar").write_bytes(data[:start] + hidden + data[start:])

    def shift(columns: dict[str, np.ndarray]) -> None:
        columns["offset"][10:] += len(hidden)

    rewrite(path, lambda c: with_first(c, size=len(data) + len(hidden)))
    forge_sidecar(path, shift)
    rewrite(path, lambda c: with_first(c, size=len(data) + len(hidden)))
    with pytest.raises(DataError, match="leaves gaps"):
        open_shard_set(path).read_views([0])
    assert not verify_shard_set(path).ok


@pytest.mark.parametrize(
    "change",
    [
        lambda c: c.update(offset=c["offset"].astype(float)),
        lambda c: c.update(offset=c["key"]),
        lambda c: c.pop("crc32"),
        lambda c: [c.update({name: values[:7]}) for name, values in list(c.items())],
    ],
)
def test_sidecars_of_another_shape(make_set, change: Callable[[dict[str, np.ndarray]], None]) -> None:
    path = make_set()
    try:
        forge_sidecar(path, change)
        with pytest.raises(DataError, match=r"000000\.parquet|shardset\.json"):
            open_shard_set(path).read_views([0])
    except DataError as error:
        assert "parquet" in str(error)


def test_a_huge_image_behind_right_checksums(make_set, commands_refuse) -> None:
    """The set says 16 pixels; its first image, put in with all its checksums right, is of 13,000."""
    path = make_set(num_samples=1)
    data = huge_png()
    body = tar_bytes(member("0000000000.png", data))
    (path / "000000.tar").write_bytes(body)

    def place(columns: dict[str, np.ndarray]) -> None:
        columns["size"][0], columns["crc32"][0] = len(data), zlib.crc32(data)
        columns["header_crc32"][0] = zlib.crc32(body[:512])

    rewrite(path, lambda c: with_first(c, size=len(body)))
    forge_sidecar(path, place)
    rewrite(path, lambda c: with_first(c, size=len(body)))
    with pytest.raises(DataError, match="13000 x 13000 pixels"):
        open_shard_set(path).read_views([0])
    with pytest.raises(DataError, match="13000 x 13000 pixels"):
        open_shard_set(path, image_size=8).read_views([0])
    commands_refuse(path, "13000 x 13000 pixels", "--batch-size", "2")


def test_a_manifest_that_is_too_large_is_not_read(make_set) -> None:
    path = make_set()
    os.truncate(path / ".synthcl" / "shardset.json", 1 << 34)  # sparse
    with pytest.raises(DataError, match="more than the"):
        open_shard_set(path)

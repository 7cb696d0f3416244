"""`verify` and `index`: what is damaged is listed with shard and key; tars of others are taken in or refused."""

import io
import os
import shutil
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from synthcl.pipeline.errors import DataError
from synthcl.pipeline.shards import ShardRecorder, open_shard_set, open_shard_store
from synthcl.pipeline.shards.adopt import index_shards
from synthcl.pipeline.shards.verify import verify_shard_set


def png(color: int, size: tuple[int, int] = (8, 8), kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, (color, color, color)).save(buffer, kind)
    return buffer.getvalue()


def write_tar(path: Path, members: dict[str, bytes], format: int = tarfile.PAX_FORMAT, mtime: float = 0.5) -> None:
    """A tar as others write them, with extended headers."""
    path.parent.mkdir(exist_ok=True)
    with tarfile.open(path, "w", format=format) as file:
        for name, data in members.items():
            member = tarfile.TarInfo(name)
            member.size, member.mtime = len(data), mtime if format == tarfile.PAX_FORMAT else 0
            file.addfile(member, io.BytesIO(data))


@pytest.mark.parametrize("options", [{}, {"pairs": True}, {"image_format": "webp"}])
def test_a_sound_set(make_set, options: dict[str, object]) -> None:
    path = make_set(**options)
    for decode in (False, True):
        assert verify_shard_set(path, decode=decode).to_dict() == {"ok": True, "num_samples": 50, "errors": []}


def offset_of(path: Path, sample: int) -> int:
    index = open_shard_set(path).index
    shard, row = (int(a[0]) for a in index.locate(np.array([sample])))
    return int(index.places(shard).offsets[row, 0])


@pytest.mark.parametrize(
    ("inside", "message"), [(60, "checksum is not that of its bytes"), (-400, "tar header before it")]
)
def test_each_damaged_sample_is_named(make_set, flip, inside: int, message: str) -> None:
    path = make_set()
    for sample in (3, 27, 29):
        flip(path / f"00000{sample // 20}.tar", offset_of(path, sample) + inside)
    report = verify_shard_set(path)
    assert not report.ok and report.num_samples == 47
    assert [(e.shard, e.key) for e in report.errors] == [
        ("000000.tar", "0000000003"),
        ("000001.tar", "0000000027"),
        ("000001.tar", "0000000029"),
    ]
    assert all(message in e.error for e in report.errors)


@pytest.mark.parametrize(
    ("harm", "shard", "message"),
    [
        (lambda p: os.truncate(p / "000001.tar", 4096), "000001.tar", "cut short"),
        (lambda p: (p / "000001.tar").unlink(), "000001.tar", "No such file"),
        (lambda p: (p / ".synthcl/000001.parquet").unlink(), "000001.tar", "cannot read"),
        (lambda p: (p / ".synthcl/000001.parquet").write_bytes(b"x"), "000001.tar", "checksum"),
        (lambda p: shutil.copy(p / "000000.tar", p / "000007.tar"), "000007.tar", "not in the set's index"),
        (lambda p: shutil.copy(p / ".synthcl/000000.parquet", p / ".synthcl/000007.parquet"), None, "belongs to no"),
        (lambda p: (p / ".synthcl/shardset.json").write_text("{}"), None, "damaged"),
        (lambda p: shutil.rmtree(p / ".synthcl"), None, "is no shard set"),
    ],
)
def test_what_is_missing_or_too_much_is_listed(make_set, harm, shard: str | None, message: str) -> None:
    path = make_set()
    harm(path)
    report = verify_shard_set(path)
    assert not report.ok
    assert any(error.shard == shard and message in error.error for error in report.errors), report.errors


def test_a_flip_in_the_end_of_a_tar_is_noticed(make_set, flip) -> None:
    path = make_set()
    flip(path / "000001.tar", -1)
    report = verify_shard_set(path)
    assert [e.shard for e in report.errors] == ["000001.tar"] and "checksum" in report.errors[0].error


def test_many_errors_are_bounded(make_set) -> None:
    path = make_set(num_samples=300, samples_per_shard=300)
    data = bytearray((path / "000000.tar").read_bytes())
    data[600:] = bytes(len(data) - 600)
    (path / "000000.tar").write_bytes(bytes(data))
    report = verify_shard_set(path)
    assert 100 <= len(report.errors) <= 110 and report.num_samples == 1
    assert any("more in this shard" in error.error for error in report.errors)


def test_tars_of_others_are_adopted(tmp_path: Path) -> None:
    path = tmp_path / "theirs"
    for shard in range(3):
        samples = {f"dir/img{shard}_{i}": i for i in range(4)}
        members = {
            f"{key}.{end}": data
            for key, i in samples.items()
            for end, data in [("jpg", png(40 * i, kind="JPEG")), ("cls", str(i).encode()), ("json", b"{}")]
        }
        write_tar(path / f"train-{shard:04d}.tar", members)
    before = {tar.name: tar.read_bytes() for tar in path.glob("*.tar")}
    with pytest.raises(DataError, match=r"synthcl shards index"):
        open_shard_set(path)
    info = index_shards(path)
    assert info.complete and info.num_samples == 12 and info.num_shards == 3
    assert before == {tar.name: tar.read_bytes() for tar in path.glob("*.tar")}
    shards = open_shard_set(path, where="label = '2'")
    assert shards.keys([0, 1, 2]) == ["dir/img0_2", "dir/img1_2", "dir/img2_2"]
    assert shards.image_size == 8 and (shards.read_views([1]).float() - 80).abs().max() <= 2
    assert open_shard_store(path).labels.tolist() == [0, 1, 2, 3] * 3
    assert verify_shard_set(path, decode=True).to_dict() == {"ok": True, "num_samples": 12, "errors": []}


def test_adopting_again_takes_new_tars_and_forgets_old_ones(tmp_path: Path) -> None:
    write_tar(tmp_path / "s" / "a.tar", {"1.png": png(1)})
    first = index_shards(tmp_path / "s")
    assert index_shards(tmp_path / "s").recipe_hash == first.recipe_hash
    write_tar(tmp_path / "s" / "b.tar", {"2.png": png(2)})
    with pytest.raises(DataError, match=r"b\.tar is not in the set's index"):
        open_shard_set(tmp_path / "s")
    assert index_shards(tmp_path / "s").num_samples == 2
    (tmp_path / "s" / "a.tar").unlink()
    assert index_shards(tmp_path / "s").num_samples == 1
    assert verify_shard_set(tmp_path / "s").ok


def test_images_of_several_sizes_need_one(tmp_path: Path) -> None:
    write_tar(tmp_path / "s" / "a.tar", {"1.png": png(1, (8, 8)), "2.webp": png(200, (20, 10), "WEBP")})
    info = index_shards(tmp_path / "s")
    assert info.content.image_size is None and info.content.image_format is None
    with pytest.raises(DataError, match="pass --image-size"):
        open_shard_set(tmp_path / "s")
    images = open_shard_set(tmp_path / "s", image_size=6).read_views([0, 1])
    assert images.shape == (2, 1, 3, 6, 6) and abs(int(images[1].float().mean()) - 200) < 3


def test_lost_sidecars_are_made_again(make_set, digest) -> None:
    path = make_set(pairs=True)
    before = digest(path)
    (path / ".synthcl" / "000001.parquet").unlink()
    (path / ".synthcl" / "000002.parquet").write_bytes(b"damaged")
    index_shards(path)
    assert digest(path) == before


def test_what_cannot_be_made_again_is_refused(make_set, tmp_path: Path, flip) -> None:
    path = make_set()
    (path / ".synthcl" / "000001.parquet").unlink()
    flip(path / "000001.tar", 5000)
    with pytest.raises(DataError, match=r"000001.tar is missing or damaged"):
        index_shards(path)
    with ShardRecorder(tmp_path / "r", {}, workers=0) as recorder:
        recorder.rewind(0)
        recorder.append(0, np.zeros((2, 1, 3, 4, 4), np.uint8), hardness=np.zeros(2))
        recorder.finish()
    with pytest.raises(DataError, match="is a recording"):
        index_shards(tmp_path / "r")
    with pytest.raises(DataError, match="has no tars"):
        index_shards(tmp_path)


@pytest.mark.parametrize(
    ("tars", "message"),
    [
        ([{"1.png": png(1)}, {"1.png": png(2)}], r"the key '1' is in a\.tar and again in b\.tar"),
        ([{"1.png": png(1), "1.jpg": png(1, kind="JPEG")}], "two images of the key '1'"),
        ([{"1.png": png(1)}, {"2.view0.png": png(2), "2.view1.png": png(2)}], r"a set holds one kind"),
        ([{"1.view1.png": png(1)}], "a second view and no first"),
        ([{"1.png": b"not an image"}], r"cannot read 1\.png"),
        ([{"1.png": b""}], "has 0 bytes"),
        ([{"1.txt": b"text"}], "holds no images"),
    ],
)
def test_tars_that_are_no_set(tmp_path: Path, tars: list[dict[str, bytes]], message: str) -> None:
    for name, members in zip("ab", tars, strict=False):
        write_tar(tmp_path / "s" / f"{name}.tar", members)
    with pytest.raises(DataError, match=message):
        index_shards(tmp_path / "s")
    with pytest.raises(DataError):
        open_shard_set(tmp_path / "s")

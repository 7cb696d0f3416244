"""Reading sets, and every kind of damage: a named error before training or at the read, never a shorter epoch."""

import io
import os
import pickle
import shutil
import tarfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from synthcl.pipeline.errors import DataError
from synthcl.pipeline.shards import open_shard_set, open_shard_store
from synthcl.pipeline.shards.adopt import index_shards


def read_all(path: Path) -> torch.Tensor:
    shards = open_shard_set(path)
    return shards.read_views(range(len(shards)))


@pytest.mark.parametrize("pairs", [False, True])
def test_random_access_across_shards(make_set, render, pairs: bool) -> None:
    shards = open_shard_set(make_set(num_samples=95, pairs=pairs))
    indices = np.random.default_rng(0).integers(0, 95, 300)
    views = 2 if pairs else 1
    images = shards.read_views(indices)
    assert images.dtype == torch.uint8 and images.shape == (300, views, 3, 16, 16) and images.is_contiguous()
    assert (images.numpy() == render(indices, views)).all()
    assert (shards.read_views(indices, views=1) == images[:, :1]).all()
    assert shards.keys(indices[:3]) == [f"{i:010d}" for i in indices[:3]]
    assert (len(shards), shards.image_size, shards.views_per_sample) == (95, 16, views)
    assert shards.read_views([]).shape == (0, views, 3, 16, 16)


def test_tables_come_in_the_order_asked_for(make_set) -> None:
    shards = open_shard_set(make_set())
    table = shards.table([41, 3, 3, 22], ["sample_index", "shard"])
    assert table.to_pydict() == {
        "sample_index": [41, 3, 3, 22],
        "shard": ["000002.tar", "000000.tar", "000000.tar", "000001.tar"],
    }
    assert (shards.column("sample_index") == np.arange(50)).all()
    assert len(shards.table([])) == 0


@pytest.mark.parametrize("index", [-1, 50])
def test_indices_outside_are_refused(make_set, index: int) -> None:
    with pytest.raises(IndexError, match=str(index)):
        open_shard_set(make_set()).read_views([0, index])


def test_encoded_files_are_what_the_tar_holds(make_set) -> None:
    path = make_set(pairs=True)
    (first, second), *_ = open_shard_set(path).read_encoded([21])
    data = (path / "000001.tar").read_bytes()
    assert first != second and first in data and second in data


def test_pickled_forked_and_threaded(make_set, render) -> None:
    shards = open_shard_set(make_set(num_samples=95))
    shards.read_views([1, 50])
    again = pickle.loads(pickle.dumps(shards))
    assert (again.read_views([50]).numpy() == render(np.array([50]))).all()
    child = os.fork()
    if child == 0:
        os._exit(int(not (shards.read_views([70]).numpy() == render(np.array([70]))).all()))
    assert os.waitpid(child, 0)[1] == 0
    shards.index.folder.max_open_files = 1  # so that files are closed under each other's feet, if they can be
    with ThreadPoolExecutor(4) as threads:
        parts = list(threads.map(lambda i: shards.read_views(np.arange(i, 95, 7)), range(7)))
    for i, part in enumerate(parts):
        assert (part.numpy() == render(np.arange(i, 95, 7))).all()


def test_an_image_store_of_pairs_has_the_first_images(make_set, render) -> None:
    store = open_shard_store(make_set(pairs=True))
    assert (store.read([7, 2]).numpy() == render(np.array([7, 2]))[:, 0]).all()
    assert len(store) == 50 and store.keys([7]) == ["0000000007"] and store.labels is None
    resized = open_shard_store(make_set(pairs=True), image_size=8)
    assert resized.image_size == 8 and resized.read([0]).shape == (1, 3, 8, 8)


def encoded(image: np.ndarray, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(image.transpose(1, 2, 0))).save(buffer, kind, **options)
    return buffer.getvalue()


def write_tar(path: Path, files: list[bytes], extensions: list[str] | None = None) -> None:
    with tarfile.open(path, "w") as tar:
        for i, data in enumerate(files):
            member = tarfile.TarInfo(f"{i}.{extensions[i] if extensions else 'png'}")
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))


def test_an_adopted_set_of_all_kinds_is_read_right(tmp_path: Path, render) -> None:
    images = render(np.arange(6))[:, 0]
    kinds = [("PNG", {}), ("JPEG", {"quality": 100, "subsampling": 0}), ("WEBP", {"lossless": True}), ("PNG", {})]
    kinds += [("JPEG", {"quality": 100, "subsampling": 0, "progressive": True}), ("PNG", {"compress_level": 1})]
    files = [encoded(image, kind, **options) for image, (kind, options) in zip(images, kinds, strict=True)]
    write_tar(tmp_path / "a.tar", files, [kind.lower() for kind, _ in kinds])
    index_shards(tmp_path)
    read = open_shard_set(tmp_path).read_views(range(6)).numpy()[:, 0].astype(int)
    assert (read[[0, 2, 3, 5]] == images[[0, 2, 3, 5]]).all()
    assert np.abs(read - images).mean() < 6


def cut(path: Path, length: int) -> None:
    os.truncate(path, length if length >= 0 else path.stat().st_size + length)


def member(path: Path, shard: str, row: int) -> int:
    """Where the header of a member begins."""
    shards = open_shard_set(path)
    return int(shards.index.places(int(shard[:6])).offsets[row, 0]) - 512


# What is done to a set, and what the error must name.
DAMAGE = {
    "truncated at a sample boundary": (lambda p, flip: cut(p / "000001.tar", member(p, "000001", 7)), "000001.tar"),
    "truncated in a header": (lambda p, flip: cut(p / "000001.tar", member(p, "000001", 7) + 100), "000001.tar"),
    "truncated in a payload": (lambda p, flip: cut(p / "000001.tar", member(p, "000001", 7) + 600), "000001.tar"),
    "truncated before the end marker": (lambda p, flip: cut(p / "000001.tar", -1024), "000001.tar"),
    "emptied": (lambda p, flip: cut(p / "000001.tar", 0), "000001.tar"),
    "flipped payload": (lambda p, flip: flip(p / "000001.tar", member(p, "000001", 7) + 600), "0000000027"),
    "flipped header name": (lambda p, flip: flip(p / "000001.tar", member(p, "000001", 7) + 3), "0000000027"),
    "flipped header size": (lambda p, flip: flip(p / "000001.tar", member(p, "000001", 7) + 130), "0000000027"),
    "flipped sidecar": (lambda p, flip: flip(p / ".synthcl/000001.parquet", 300), "000001.parquet"),
    "flipped sidecar footer": (lambda p, flip: flip(p / ".synthcl/000001.parquet", -20), "000001.parquet"),
    "sidecar cut short": (lambda p, flip: cut(p / ".synthcl/000001.parquet", -1), "000001.parquet"),
    "sidecar missing": (lambda p, flip: (p / ".synthcl/000001.parquet").unlink(), "000001.parquet"),
    "sidecar of another shard": (
        lambda p, flip: shutil.copy(p / ".synthcl/000000.parquet", p / ".synthcl/000001.parquet"),
        "000001.parquet",
    ),
    "shard missing": (lambda p, flip: (p / "000001.tar").unlink(), "000001.tar"),
    "shard twice": (lambda p, flip: shutil.copy(p / "000000.tar", p / "000001.tar"), "0000000020"),
    "shard that is a folder": (
        lambda p, flip: ((p / "000001.tar").unlink(), (p / "000001.tar").mkdir()),
        "000001.tar",
    ),
    "shard that is a pipe": (
        lambda p, flip: ((p / "000001.tar").unlink(), os.mkfifo(p / "000001.tar")),
        "000001.tar",
    ),
    "one shard too many": (lambda p, flip: shutil.copy(p / "000000.tar", p / "000009.tar"), "000009.tar"),
    "index flipped": (lambda p, flip: flip(p / ".synthcl/shardset.json", 900), "shardset.json"),
    "index cut short": (lambda p, flip: cut(p / ".synthcl/shardset.json", -5), "shardset.json"),
    "index missing": (lambda p, flip: (p / ".synthcl/shardset.json").unlink(), "no shard set"),
    "index not text": (lambda p, flip: (p / ".synthcl/shardset.json").write_bytes(b"\xff\x00{"), "shardset.json"),
    "index deeply nested": (
        lambda p, flip: (p / ".synthcl/shardset.json").write_text("[" * 100_000),
        "shardset.json",
    ),
}


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("options", [{}, {"pairs": True, "image_format": "jpg"}], ids=["png", "jpg pairs"])
def test_damage_is_named(make_set, flip, damage: str, options: dict[str, object]) -> None:
    path = make_set(num_samples=50, samples_per_shard=20, **options)
    harm, named = DAMAGE[damage]
    harm(path, flip)
    with pytest.raises(DataError, match=named):
        read_all(path)


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_ends_a_training_before_its_first_step(make_set, flip, commands_refuse, damage: str) -> None:
    path = make_set(num_samples=50, samples_per_shard=20)
    harm, named = DAMAGE[damage]
    harm(path, flip)
    commands_refuse(path, named)


@pytest.mark.parametrize("damage", ["flipped payload", "flipped header name", "flipped sidecar"])
def test_damage_ends_a_training_at_the_read_that_meets_it(make_set, flip, commands_refuse, damage: str) -> None:
    """Without a cache; an epoch is five steps of ten samples, so every sample is met."""
    path = make_set(num_samples=50, samples_per_shard=20)
    harm, named = DAMAGE[damage]
    harm(path, flip)
    commands_refuse(path, named, "--cache", "none", verify=False)


def test_a_set_whose_images_differ_in_size_is_brought_to_that_of_the_training(tmp_path: Path, render) -> None:
    write_tar(tmp_path / "a.tar", [encoded(render(np.arange(1), size=8 + i)[0, 0], "PNG") for i in range(12)])
    index_shards(tmp_path)
    with pytest.raises(DataError, match="pass --image-size"):
        open_shard_set(tmp_path)
    assert open_shard_set(tmp_path, mixed_size=6).read_views(range(12)).shape == (12, 1, 3, 6, 6)


def test_every_byte_of_an_index_is_guarded(make_set, flip) -> None:
    path = make_set()
    index = path / ".synthcl" / "shardset.json"
    whole = index.read_bytes()
    for offset in range(0, len(whole), 7):
        if not whole[offset : offset + 1].isspace():
            flip(index, offset)
            with pytest.raises(DataError, match=r"shardset\.json"):
                open_shard_set(path)
            index.write_bytes(whole)


def test_damage_after_opening_is_met_at_the_read(make_set, flip) -> None:
    path = make_set()
    shards = open_shard_set(path)
    shards.read_views([25])
    os.truncate(path / "000001.tar", 4096)
    with pytest.raises(DataError, match=r"sample '0000000039'.*000001.tar.* is cut short"):
        shards.read_views([39])


def test_an_unreadable_shard_is_named(make_set, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make_set()
    shards = open_shard_set(path)
    real = os.open

    def refuse(name: object, *arguments: int) -> int:
        if str(name).endswith("000001.tar"):
            raise PermissionError(13, "Permission denied")
        return real(name, *arguments)

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(DataError, match=r"cannot read .*000001.tar: Permission denied"):
        shards.read_views([25])


def test_a_disk_that_fails_is_named_with_sample_and_shard(make_set, monkeypatch: pytest.MonkeyPatch) -> None:
    shards = open_shard_set(make_set())
    shards.read_views([25])

    def fail(*arguments: int) -> bytes:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "pread", fail)
    with pytest.raises(DataError, match=r"sample '0000000026'.*000001.tar.* cannot be read: Input/output error"):
        shards.read_views([26])

"""Reading sets: random access, pickling, threads, and all kinds of images."""

import io
import os
import pickle
import tarfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from synthcl.pipeline.errors import DataError
from synthcl.pipeline.images import decoding
from synthcl.pipeline.shards import ShardSet, open_shard_set, open_shard_store, write_shard_set
from synthcl.pipeline.shards.writing.adopt import index_shards


@pytest.mark.parametrize("views", [1, 2, 12])
def test_random_access_across_shards(make_set, render, views: int) -> None:
    shards = open_shard_set(make_set(num_samples=95, images_per_sample=views))
    indices = np.random.default_rng(0).integers(0, 95, 300)
    images = shards.read_views(indices)
    assert images.dtype == torch.uint8 and images.shape == (300, views, 3, 16, 16) and images.is_contiguous()
    assert (images.numpy() == render(indices, views)).all()
    assert (shards.read_views(indices, views=1) == images[:, :1]).all()
    assert shards.keys(indices[:3]) == [f"{i:010d}" for i in indices[:3]]
    assert (len(shards), shards.image_size, shards.views_per_sample) == (95, 16, views)
    assert shards.read_views([]).shape == (0, views, 3, 16, 16)


def test_encoded_files_are_what_the_tar_holds(make_set) -> None:
    path = make_set(images_per_sample=2)
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
    shards.locator.folder.max_open_files = 1  # so that files are closed under each other's feet, if they can be
    with ThreadPoolExecutor(4) as threads:
        parts = list(threads.map(lambda i: shards.read_views(np.arange(i, 95, 7)), range(7)))
    for i, part in enumerate(parts):
        assert (part.numpy() == render(np.arange(i, 95, 7))).all()


def test_an_image_store_of_pairs_has_the_first_images(make_set, render) -> None:
    store = open_shard_store(make_set(images_per_sample=2))
    assert (store.read([7, 2]).numpy() == render(np.array([7, 2]))[:, 0]).all()
    assert len(store) == 50 and store.keys([7]) == ["0000000007"] and store.labels is None
    resized = open_shard_store(make_set(images_per_sample=2), image_size=8)
    assert resized.image_size == 8 and resized.read([0]).shape == (1, 3, 8, 8)
    assert resized.short_sides(np.arange(3)).tolist() == [16] * 3


@pytest.mark.parametrize("kind", ["png", "jpg", "webp"])
def test_large_images_are_the_same_from_many_threads_and_the_first_damaged_one_is_named(
    tmp_path: Path, render, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    write_shard_set(tmp_path, {}, 40, 20, lambda i: render(i, size=72), image_format=kind, workers=0)
    shards, asked = open_shard_set(tmp_path), np.random.default_rng(0).permutation(40)
    whole, read = {}, ShardSet._read_files
    for cores in (1, 4):
        monkeypatch.setattr(decoding, "available_cores", lambda cores=cores: cores)
        whole[cores] = shards.read_views(asked)
    assert torch.equal(whole[1], whole[4])

    def damaged(self: ShardSet, samples: np.ndarray, views: int) -> list[memoryview]:
        """Files that were damaged before their checksums were taken."""
        files = read(self, samples, views)
        return [file[: len(file) // 2] if i in (17, 23, 38) else file for i, file in enumerate(files)]

    monkeypatch.setattr(ShardSet, "_read_files", damaged)
    for cores in (1, 4):
        monkeypatch.setattr(decoding, "available_cores", lambda cores=cores: cores)
        with pytest.raises(DataError, match=f"cannot read sample '{asked[17]:010d}'"):
            shards.read_views(asked)


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


def test_a_set_whose_images_differ_in_size_is_brought_to_that_of_the_training(tmp_path: Path, render) -> None:
    write_tar(tmp_path / "a.tar", [encoded(render(np.arange(1), size=8 + i)[0, 0], "PNG") for i in range(12)])
    index_shards(tmp_path)
    with pytest.raises(DataError, match="pass --image-size"):
        open_shard_set(tmp_path)
    assert open_shard_set(tmp_path, mixed_size=6).read_views(range(12)).shape == (12, 1, 3, 6, 6)

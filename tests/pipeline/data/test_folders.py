"""Image folders: flat, classes, splits."""

import numpy as np
import pytest
import torch

from synthcl.pipeline.data import open_images, splits_of
from synthcl.pipeline.errors import DataError, UsageError
from synthcl.pipeline.images.decoding import decode_images


def test_flat(tmp_path, save):
    files = [save(tmp_path / name, seed) for seed, name in enumerate(["a.png", "b.JPG", "c.webp", "sub/d.bmp"])]
    (tmp_path / "notes.txt").write_text("not an image")
    save(tmp_path / ".hidden.png")
    store = open_images(str(tmp_path))
    assert len(store) == 4
    assert store.labels is None
    assert store.keys(range(4)) == ["a.png", "b.JPG", "c.webp", "sub/d.bmp"]
    assert torch.equal(store.read([3, 1]), decode_images([files[i].read_bytes() for i in (3, 1)]))


def test_classes(tmp_path, save):
    for name in ("owl/1.png", "owl/x/2.png", "ant/3.png", "10/4.png"):
        save(tmp_path / name)
    store = open_images(str(tmp_path))
    assert store.class_names == ["10", "ant", "owl"]
    np.testing.assert_array_equal(store.labels, [0, 1, 2, 2])
    assert splits_of(str(tmp_path)) == []
    with pytest.raises(UsageError, match="no split 'test': it has no splits"):
        open_images(f"{tmp_path}:test")
    assert len(open_images(str(tmp_path), split="test")) == 4  # a default, not a demand


def test_classes_may_be_links(tmp_path, save):
    for name in ("all/ant/1.png", "all/owl/2.png", "train/cat/3.png"):
        save(tmp_path / name)
    for name in ("ant", "owl"):
        (tmp_path / "train" / name).symlink_to(tmp_path / "all" / name)
    store = open_images(str(tmp_path / "train"))
    assert store.class_names == ["ant", "cat", "owl"]
    assert store.keys(range(3)) == ["ant/1.png", "cat/3.png", "owl/2.png"]


def test_splits_share_their_classes(tmp_path, save):
    for name in ("train/ant/1.png", "train/owl/2.png", "val/owl/3.png", "test/4.png"):
        save(tmp_path / name)
    assert splits_of(str(tmp_path)) == ["train", "val", "test"]
    np.testing.assert_array_equal(open_images(str(tmp_path)).labels, [0, 1])
    assert open_images(str(tmp_path)).name == f"{tmp_path}:train"


def test_a_class_may_be_called_train(tmp_path, save):
    for name in ("car/1.png", "train/2.png"):
        save(tmp_path / name)
    assert open_images(str(tmp_path)).class_names == ["car", "train"]


def test_split_classes_are_numbered_over_all_splits(tmp_path, save):
    for name in ("train/ant/1.png", "train/owl/2.png", "test/owl/3.png"):
        save(tmp_path / name)
    np.testing.assert_array_equal(open_images(f"{tmp_path}:test").labels, [1])


def test_patterns_of_images(tmp_path, save):
    for i in range(3):
        save(tmp_path / f"{i}.png", i)
    assert open_images(f"{tmp_path}/*.png").keys([2]) == ["2.png"]
    assert len(open_images(f"{tmp_path}/{{0,2}}.png")) == 2


def test_nothing_to_read(tmp_path):
    with pytest.raises(DataError, match=r"holds no images .* it is empty"):
        open_images(str(tmp_path))
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(DataError, match=r"holds no images .* it holds notes.txt"):
        open_images(str(tmp_path))
    with pytest.raises(DataError, match=r"notes.txt is no image file, Parquet file or uncompressed tar"):
        open_images(str(tmp_path / "notes.txt"))

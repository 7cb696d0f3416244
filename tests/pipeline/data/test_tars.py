"""Tars from anyone: the samples WebDataset sees."""

import numpy as np
import pytest
import torch
import webdataset

from synthcl.pipeline.data import open_images, tars
from synthcl.pipeline.data.sources import may_have_labels
from synthcl.pipeline.data.tarindex import BLOCK, index_tar
from synthcl.pipeline.data.tars import split_member_name
from synthcl.pipeline.errors import DataError, UsageError
from synthcl.pipeline.images.decoding import decode_images


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_images_labels_and_keys(tmp_path, members, write_tar, kind):
    files = members(0, 7, kind)
    path = write_tar(tmp_path / "a.tar", files)
    store = open_images(str(path))
    assert len(store) == 7
    assert store.image_size == 16
    np.testing.assert_array_equal(store.labels, [0, 1, 2, 0, 1, 2, 0])
    assert store.keys([6, 0]) == ["s006", "s000"]
    expected = decode_images([data for name, data in files.items() if not name.endswith("cls")])
    assert torch.equal(store.read([6, 0, 6]), expected[[6, 0, 6]])


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")
def test_the_same_samples_as_webdataset(tmp_path, members, write_tar):
    files = {"./dir.v1/x.y.jpg": b"", **members(0, 5, classes=False), "README": b"text", "__meta__/info.txt": b""}
    files["./dir.v1/x.jpg"] = files["s000.jpg"]
    path = write_tar(tmp_path / "a.tar", files)
    theirs = [s["__key__"] for s in webdataset.WebDataset(str(path), shardshuffle=False) if "jpg" in s]
    assert open_images(str(path)).keys(range(6)) == theirs


def test_member_names_split_at_the_first_dot_of_the_last_part():
    assert split_member_name("a.b/c.d.JPG") == ("a.b/c", "d.jpg")
    assert split_member_name("x") == ("x", "")


def test_splits_and_several_tars(tmp_path, members, write_tar):
    write_tar(tmp_path / "train-0.tar", members(0, 4))
    write_tar(tmp_path / "train-1.tar", members(4, 9))
    write_tar(tmp_path / "val-0.tar", members(9, 11))
    train, val = open_images(str(tmp_path)), open_images(f"{tmp_path}:val")
    assert (len(train), len(val)) == (9, 2)
    assert train.keys([3, 4]) == ["s003", "s004"]
    assert torch.equal(train.read([5, 0])[0], open_images(f"{tmp_path}/train-1.tar").read([1])[0])
    assert len(open_images(f"{tmp_path}/train-{{0..1}}.tar")) == 9
    with pytest.raises(UsageError, match="no split 'test': there are train, val"):
        open_images(f"{tmp_path}:test")


def test_keys_that_tars_repeat_get_the_tars_name(tmp_path, members, write_tar):
    for name in ("a", "b"):
        write_tar(tmp_path / f"{name}.tar", members(0, 2))
    assert open_images(str(tmp_path)).keys(range(4)) == ["a/s000", "a/s001", "b/s000", "b/s001"]


def test_words_as_classes_are_numbered_over_all_splits(tmp_path, members, write_tar):
    files = members(0, 2, classes=False)
    write_tar(tmp_path / "train-0.tar", {**files, "s000.cls": b"owl", "s001.cls": b"ant\n"})
    write_tar(tmp_path / "test-0.tar", {**files, "s000.cls": b"owl", "s001.cls": b"cat"})
    train, test = open_images(str(tmp_path)), open_images(f"{tmp_path}:test")
    assert train.class_names == test.class_names == ["ant", "cat", "owl"]
    np.testing.assert_array_equal(train.labels, [2, 0])
    np.testing.assert_array_equal(test.labels, [2, 1])


def test_numbers_of_one_split_are_words_if_another_has_words(tmp_path, members, write_tar, monkeypatch):
    files, read = members(0, 2, classes=False), []
    write_tar(tmp_path / "train-0.tar", {**files, "s000.cls": b"9", "s001.cls": b"ant"})
    write_tar(tmp_path / "test-0.tar", {**files, "s000.cls": b"9", "s001.cls": b"10"})
    monkeypatch.setattr(tars, "index_tar", lambda path: read.append(path.name) or index_tar(path))
    train, test = open_images(str(tmp_path)), open_images(f"{tmp_path}:test")
    assert train.class_names == test.class_names == ["10", "9", "ant"]
    assert (train.labels.tolist(), test.labels.tolist()) == ([1, 2], [1, 0])
    # A tar is read through again for its images, and not for its classes alone: of large sets that takes minutes.
    assert read == ["train-0.tar", "test-0.tar", "test-0.tar"]
    write_tar(tmp_path / "train-0.tar", {**files, "s000.cls": b"9", "s001.cls": b"bee"})
    assert open_images(f"{tmp_path}:test").class_names == ["10", "9", "bee"]


def test_without_classes_there_are_no_labels(tmp_path, members, write_tar):
    assert open_images(str(write_tar(tmp_path / "a.tar", members(0, 2, classes=False)))).labels is None


def test_a_truncated_jpeg_in_the_middle_is_named(tmp_path, members, write_tar):
    files = members(0, 60)
    files["s041.jpg"] = files["s041.jpg"][:-30]
    store = open_images(str(write_tar(tmp_path / "a.tar", files)))
    store.read(range(41))
    with pytest.raises(DataError, match=r"cannot read s041 \(sample 41, at byte [\d,]+\) of .*a.tar: .*truncated"):
        store.read(range(30, 50))


def test_what_is_no_set_of_samples(tmp_path, members, write_tar, picture, encode):
    path = write_tar(tmp_path / "a.tar", {"x.txt": b"1", "y.seg.png": encode(picture())})
    with pytest.raises(DataError, match=r"a.tar has no images .* end in 'seg.png', 'txt'"):
        open_images(str(path))
    files = members(0, 2)
    path = write_tar(tmp_path / "b.tar", {**files, "s000.png": files["s000.jpg"]})
    with pytest.raises(DataError, match="two images of the key 's000'"):
        open_images(str(path))
    del files["s001.cls"]
    with pytest.raises(DataError, match=r"s001 .* of .*c.tar has no .cls"):
        open_images(str(write_tar(tmp_path / "c.tar", files)))
    (tmp_path / "d.tar").write_text("no tar " * 300)
    with pytest.raises(DataError, match=r"d.tar.*no uncompressed tar"):
        open_images(str(tmp_path / "d.tar"))
    path = write_tar(tmp_path / "e.tar", {"x.jpg": encode(picture(), "GIF")})
    with pytest.raises(DataError, match=r"cannot read x .*no image of a known format"):
        open_images(str(path))


def test_a_tar_that_shrinks_while_open(tmp_path, members, write_tar):
    path = write_tar(tmp_path / "a.tar", members(0, 9))
    store = open_images(str(path))
    path.write_bytes(path.read_bytes()[: 3 * BLOCK])
    with pytest.raises(DataError, match=r"s008 .* has shrunk"):
        store.read([8])
    path.unlink()
    with pytest.raises(DataError, match=r"cannot read .*a.tar"):
        store.read([8])


@pytest.mark.parametrize("classes", [False, True])
@pytest.mark.parametrize("order", [list, reversed], ids=["class after image", "class before image"])
def test_a_look_at_the_first_samples_tells_whether_there_are_labels(tmp_path, members, write_tar, classes, order):
    files = members(0, 6, classes=classes)
    write_tar(tmp_path / "train-0.tar", {name: files[name] for name in order(list(files))})
    write_tar(tmp_path / "test-0.tar", members(6, 8, classes=False))
    assert may_have_labels(str(tmp_path)) == classes
    assert not may_have_labels(f"{tmp_path}:test")

"""torchvision's data sets, without the internet."""

import errno
import fcntl
import os

import numpy as np
import pytest
import torch
import torchvision.datasets

from synthcl.pipeline.data import open_images
from synthcl.pipeline.data.catalogue import NAMED_SETS, Drawn
from synthcl.pipeline.data.downloads import draw_split
from synthcl.pipeline.data.store import count_shared
from synthcl.pipeline.errors import DataError


class _Fake:
    """What torchvision's data sets look like, without the internet."""

    layout = "hwc"
    present = False
    calls: list

    def __init__(self, root, download, **options):
        type(self).calls.append((root, download, options))
        if not download and not self.present:
            raise RuntimeError("Dataset not found or corrupted.")
        print("Files already downloaded")
        random = np.random.default_rng(0)
        self.hwc = random.integers(0, 256, (6, 4, 4, 3), dtype=np.uint8)
        if self.layout == "gray":
            self.data = torch.from_numpy(self.hwc[..., 0].copy())
        else:
            self.data = self.hwc if self.layout == "hwc" else self.hwc.transpose(0, 3, 1, 2)
        setattr(self, "labels" if self.layout == "chw" else "targets", [0, 1, 2, 0, 1, 2])
        self.classes = ["a", "b", "c"]


@pytest.fixture
def fake(monkeypatch):
    def install(dataset, layout, present=False):
        kind = type("Fake", (_Fake,), {"layout": layout, "present": present, "calls": []})
        monkeypatch.setattr(torchvision.datasets, NAMED_SETS[dataset].class_name, kind)
        return kind

    return install


LAYOUTS = {"cifar10": "hwc", "cifar100": "hwc", "stl10": "chw", "fashion-mnist": "gray", "mnist": "gray", "svhn": "chw"}


@pytest.mark.parametrize("dataset", LAYOUTS)
def test_torchvision_data_sets(tmp_path, capsys, fake, dataset):
    kind = fake(dataset, LAYOUTS[dataset])
    store = open_images(f"{dataset}:test", data_root=tmp_path / "root")
    assert [download for _, download, _ in kind.calls] == [False, True]
    assert kind.calls[0][0] == str(tmp_path / "root")
    assert kind.calls[0][2] in ({"train": False}, {"split": "test"})
    images = store.read(range(6))
    expected = torch.from_numpy(kind("", True).hwc).permute(0, 3, 1, 2)
    if LAYOUTS[dataset] == "gray":
        expected = expected[:, :1].expand(-1, 3, -1, -1)
    assert torch.equal(images, expected)
    np.testing.assert_array_equal(store.labels, [0, 1, 2, 0, 1, 2])
    larger = open_images(dataset, data_root=tmp_path, image_size=8)
    assert larger.read([0]).shape == (1, 3, 8, 8) and larger.short_sides(np.arange(2)).tolist() == [4, 4]
    capsys.readouterr()


def test_what_is_there_is_not_downloaded_and_stdout_stays_clean(tmp_path, capsys, fake):
    kind = fake("stl10", "chw", present=True)
    assert open_images("stl10:unlabeled", data_root=tmp_path).labels is None
    assert kind.calls == [(str(tmp_path), False, {"split": "unlabeled"})]
    assert capsys.readouterr().out == ""


def test_a_download_that_fails_says_what_to_do(tmp_path, monkeypatch):
    def fail(root, download, **options):
        raise OSError("no route to host") if download else RuntimeError("not found")

    monkeypatch.setattr(torchvision.datasets, "CIFAR10", fail)
    words = r"cifar10 is not in .* could not be downloaded \(no route to host\): copy .* --data-root"
    with pytest.raises(DataError, match=words):
        open_images("cifar10", data_root=tmp_path)


@pytest.mark.parametrize("number", [errno.ENOTSUP, errno.ENOLCK])
@pytest.mark.parametrize("processes", ["1", "2"])
def test_where_there_are_no_locks_one_process_downloads_and_several_are_refused(
    tmp_path, fake, monkeypatch, caplog, number, processes
):
    def refuse(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)
    monkeypatch.setenv("WORLD_SIZE", processes)
    kind = fake("cifar10", "hwc")
    if processes == "1":
        assert len(open_images("cifar10", data_root=tmp_path)) == 6
        assert f"{tmp_path} cannot be locked ({os.strerror(number)})" in caplog.text
    else:
        with pytest.raises(DataError, match=r"cannot be locked .*: have one process download it first"):
            open_images("cifar10", data_root=tmp_path)
        assert [download for _, download, _ in kind.calls] == [False]
        kind.present = True
        assert len(open_images("cifar10", data_root=tmp_path)) == 6


IN_FILES = [name for name, entry in NAMED_SETS.items() if entry.in_files]
SIZES = {"sun397": {"num_classes": 2, "per_class": 110}, "caltech101": {"per_class": 32}, "eurosat": {"per_class": 10}}
"""Of stand-ins, where a split of ours takes more than a few images of a class."""


@pytest.fixture
def place(tmp_path, stand_in, no_internet):
    """A folder of data sets, with those that are asked for."""

    def make(*datasets):
        for dataset in datasets:
            stand_in(tmp_path, dataset, **SIZES.get(dataset, {}))
        return tmp_path

    return make


def torchvision_images(dataset, split, root):
    """Images (N, 3, 8, 8) and labels as torchvision itself gives them, of all parts of a split."""
    entry = NAMED_SETS[dataset]
    parts = [getattr(torchvision.datasets, entry.class_name)(str(root), **options) for options in entry.splits[split]]
    images, labels = zip(*(sample for part in parts for sample in part), strict=True)
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2), list(labels)


@pytest.mark.parametrize("dataset", [name for name in IN_FILES if NAMED_SETS[name].drawn is None])
def test_sets_in_files_are_what_torchvision_reads(place, dataset):
    root = place(dataset)
    sizes = {}
    for split in NAMED_SETS[dataset].splits:
        store = open_images(f"{dataset}:{split}", image_size=8, data_root=root)
        images, labels = torchvision_images(dataset, split, root)
        assert store.labels.tolist() == labels and len(set(labels)) == 3
        assert (store.read(range(len(store))).int() - images.int()).abs().max() <= 2  # another JPEG decoder
        assert len(store.class_names) >= 3 and store.name == f"{dataset}:{split}"
        sizes[split] = len(store)
    assert sizes["train"] == sizes["test"] == 12
    assert sizes.get("trainval", 24) == 24


@pytest.mark.parametrize(
    ("dataset", "train", "test"), [("caltech101", [30] * 3, [2] * 3), ("sun397", [50] * 2, [50] * 2),
                                   ("eurosat", [8] * 3, [2] * 3)]
)  # fmt: skip
def test_splits_of_ours_are_drawn_class_by_class_and_share_nothing(place, dataset, train, test):
    root = place(dataset)
    stores = [open_images(f"{dataset}:{split}", image_size=8, data_root=root) for split in ("train", "test")]
    assert [np.bincount(store.labels).tolist() for store in stores] == [train, test]
    names = [set(store.keys(range(len(store)))) for store in stores]
    assert len(names[0] & names[1]) == 0 and count_shared(*stores) == 0
    again = open_images(f"{dataset}:train", image_size=8, data_root=root)
    assert again.fingerprint() == stores[0].fingerprint()


def test_a_draw_is_of_the_set_and_of_nothing_else():
    labels = torch.arange(40) % 2
    train = draw_split(labels, Drawn(0.8), "train", "a")
    assert torch.equal(train, draw_split(labels, Drawn(0.8), "train", "a"))
    assert not torch.equal(train, draw_split(labels, Drawn(0.8), "train", "b"))
    test = draw_split(labels, Drawn(0.8), "test", "a")
    assert sorted([*train.tolist(), *test.tolist()]) == list(range(40))
    assert test.tolist() == [6, 9, 11, 17, 18, 31, 34, 36]  # published numbers are of this draw


@pytest.mark.parametrize("drawn", [Drawn(10), Drawn(6, 5)])
def test_a_class_of_too_few_images_is_refused(drawn):
    with pytest.raises(DataError, match="a class of caltech101 has only 10 images, too few for train: files are miss"):
        draw_split(torch.arange(20) % 2, drawn, "train", "caltech101")


def test_images_in_files_have_no_size_of_their_own(place):
    part = open_images("dtd:train[:6,balanced]", image_size=16, data_root=place("dtd"))
    assert part.read([0]).shape == (1, 3, 16, 16) and np.bincount(part.labels).tolist() == [2, 2, 2]


def test_a_set_in_files_is_downloaded_once(tmp_path, stand_in, monkeypatch):
    calls = []

    def download(url, download_root, **options):
        calls.append(url)
        stand_in(tmp_path, "dtd")

    monkeypatch.setattr(torchvision.datasets.dtd, "download_and_extract_archive", download)
    for split in ("train", "trainval"):
        assert (
            len(open_images(f"dtd:{split}", image_size=8, data_root=tmp_path)) == {"train": 12, "trainval": 24}[split]
        )
    assert len(calls) == 1 and "dtd" in calls[0]


@pytest.mark.parametrize("dataset", IN_FILES)
def test_a_set_that_is_not_there_says_which_and_what_to_do(tmp_path, no_internet, dataset):
    with pytest.raises(DataError) as caught:
        open_images(f"{dataset}:test", image_size=8, data_root=tmp_path)
    words = str(caught.value)
    assert words.startswith(f"{dataset} is not in {tmp_path}") and "--data-root" in words and "\n" not in words
    assert ("withdrawn" in words) == (dataset == "stanford-cars")


def test_a_set_of_which_files_are_lost_is_told(place):
    root = place("dtd", "caltech101")
    (root / "dtd/dtd/labels/train1.txt").unlink()
    (root / "caltech101/101_ObjectCategories/BACKGROUND_Google/image_0001.jpg").unlink()
    (root / "caltech101/101_ObjectCategories/BACKGROUND_Google").rmdir()
    for spec in ("dtd:train", "caltech101:train"):
        with pytest.raises(DataError, match=r"is not in .* could not be downloaded"):
            open_images(spec, image_size=8, data_root=root)

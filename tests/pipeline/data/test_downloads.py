"""torchvision's data sets, without the internet."""

import numpy as np
import pytest
import torch
import torchvision.datasets

from synthcl.pipeline import data
from synthcl.pipeline.data import downloads, open_images
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
        monkeypatch.setattr(torchvision.datasets, downloads.DOWNLOADS[dataset].class_name, kind)
        return kind

    return install


LAYOUTS = {"cifar10": "hwc", "cifar100": "hwc", "stl10": "chw", "fashion-mnist": "gray", "mnist": "gray", "svhn": "chw"}


def test_the_table_and_the_names_agree():
    assert {"digits", *downloads.DOWNLOADS} == set(data.DATASETS) == {"digits", *LAYOUTS}
    for download in downloads.DOWNLOADS.values():
        assert hasattr(torchvision.datasets, download.class_name)


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
    assert open_images(dataset, data_root=tmp_path, image_size=8).read([0]).shape == (1, 3, 8, 8)
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

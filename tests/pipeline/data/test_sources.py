"""From a SPEC to a store: names, splits, and what is told when there is nothing."""

import subprocess
import sys

import numpy as np
import pytest
import torch
import torchvision.datasets

from synthcl.pipeline import data
from synthcl.pipeline.data import downloads, open_images, splits_of
from synthcl.pipeline.errors import DataError, UsageError


def test_importing_the_package_and_reading_specs_needs_no_torch():
    code = "import sys; from synthcl.pipeline import data; data.splits_of; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"


def test_digits():
    train, test = open_images("digits"), open_images("digits:test")
    assert (len(train), len(test)) == (1442, 355)
    assert train.read([0]).shape == (1, 3, 8, 8)
    assert train.read(range(1442)).max() == 255
    share = np.bincount(test.labels) / (np.bincount(train.labels) + np.bincount(test.labels))
    assert np.all(abs(share - 0.2) < 0.01)
    assert train.class_names[3] == "3"
    whole = {image.numpy().tobytes() for store in (train, test) for image in store.read(range(len(store)))}
    assert len(whole) > 1790  # the splits have (next to) no image in common
    assert open_images("digits", image_size=16).read([5]).shape == (1, 3, 16, 16)


def test_digits_never_change():
    assert open_images("digits").fingerprint() == "e9d2b0ad6bff03f7"


def test_splits_and_the_held_out_one(tmp_path, picture):
    assert splits_of("digits") == ["train", "test"]
    assert splits_of("stl10:train") == ["train", "test", "unlabeled"]
    assert data.test_spec("digits") == "digits:test"
    assert data.test_spec("stl10:unlabeled") == "stl10:test"
    assert data.test_spec("digits:test") is None
    assert data.test_spec("digits[:10%]") == data.test_spec("digits:train[5:,shuffled]") == "digits:test"
    assert data.test_spec("digits:test[:10%]") is None
    assert splits_of("digits[:10%]") == ["train", "test"]
    picture().save(tmp_path / "a.png")
    assert data.test_spec(str(tmp_path)) is None
    for split in ("train", "val"):
        (tmp_path / "b" / split).mkdir(parents=True)
    assert data.test_spec(f"{tmp_path}/b") == f"{tmp_path}/b:val"


@pytest.mark.parametrize("kind", ["folder", "classes", "split", "tar", "pattern", "parquet", "odd"])
def test_a_part_of_any_source_decodes_its_images_alone(tmp_path, picture, encode, write_tar, write_parquet, kind):
    """Images 3, 4 and 5 of 8; the others are damaged behind their headers."""
    files = [encode(picture(i)) if 3 <= i < 6 else encode(picture(i))[:60] for i in range(8)]
    expected = torch.from_numpy(np.stack([np.asarray(picture(i)) for i in (3, 4, 5)])).permute(0, 3, 1, 2)
    place = tmp_path / {"odd": "a[:3]", "split": "a/train"}.get(kind, "a")
    if kind == "parquet":
        write_parquet(place / "0.parquet", files, labels=list(range(8)))
    elif kind in ("tar", "pattern"):
        for tar in range(4):
            write_tar(place / f"{tar}.tar", {f"{i}.png": files[i] for i in (2 * tar, 2 * tar + 1)})
    else:
        for i, content in enumerate(files):
            path = place / (f"{i // 4}/{i}.png" if kind == "classes" else f"{i}.png")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    location = {"split": f"{tmp_path}/a:train", "pattern": f"{place}/{{0..3}}.tar"}.get(kind, str(place))
    part, whole = open_images(f"{location}[3:-2]"), open_images(location)
    assert torch.equal(data.cached(part, "ram").read(range(3)), expected)
    assert part.name == f"{location}[3:-2]" and part.keys(range(3)) == whole.keys([3, 4, 5])
    assert whole.labels is None or part.labels.tolist() == whole.labels[3:6].tolist()
    with pytest.raises(DataError):
        whole.read(range(8))


def test_an_unknown_split():
    with pytest.raises(UsageError, match="digits has no split 'val': there are train, test"):
        open_images("digits:val")


def test_missing_paths_suggest_near_names(tmp_path):
    (tmp_path / "photos").mkdir()
    with pytest.raises(
        UsageError, match=r"no data at '.*fotos' \(did you mean .*photos.*\): .* or one of digits, cifar10"
    ):
        open_images(f"{tmp_path}/fotos")
    with pytest.raises(UsageError, match=r"no data at 'cifar-10' \(did you mean cifar10"):
        open_images("cifar-10")
    with pytest.raises(UsageError, match="no data at '/nowhere/at/all': give a path"):
        open_images("/nowhere/at/all")
    with pytest.raises(UsageError, match=r"no data at 'cifar-10' \(did you mean cifar10"):
        open_images("cifar-10[:10%]")


def test_image_sizes_below_one():
    with pytest.raises(UsageError, match="--image-size 0"):
        open_images("digits", image_size=0)


def test_folders_of_several_kinds_are_ambiguous(tmp_path, picture, encode, write_tar, write_parquet):
    write_tar(tmp_path / "a.tar", {"x.png": encode(picture())})
    picture().save(tmp_path / "b.png")
    with pytest.raises(UsageError, match=r"holds .tar files and image files: name those wanted, as in '.*/\*.tar'"):
        open_images(str(tmp_path))
    assert len(open_images(f"{tmp_path}/*.tar")) == 1
    write_parquet(tmp_path / "c.parquet", [encode(picture())])
    with pytest.raises(UsageError, match=r"holds .parquet files and .tar files"):
        open_images(str(tmp_path))
    with pytest.raises(DataError, match="files of one kind"):
        open_images(f"{tmp_path}/*")


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


def test_shard_sets_are_opened_by_their_own_reader(tmp_path, monkeypatch):
    import synthcl.pipeline.shards as shards

    (tmp_path / ".synthcl").mkdir()
    (tmp_path / ".synthcl" / "shardset.json").write_text("{}")
    monkeypatch.setitem(vars(shards), "open_shard_store", lambda path, image_size: (path, image_size))
    assert open_images(str(tmp_path), image_size=32) == (tmp_path, 32)

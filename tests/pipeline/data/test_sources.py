"""From a SPEC to a store: names, splits, and what is told when there is nothing."""

import subprocess
import sys

import numpy as np
import pytest
import torch

from synthcl.pipeline import data
from synthcl.pipeline.data import open_images, splits_of
from synthcl.pipeline.errors import DataError, UsageError


def test_importing_the_package_and_reading_specs_needs_no_torch():
    code = "import sys; from synthcl.pipeline import data; data.splits_of; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"


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


def test_a_set_in_memory_is_resized_as_it_is_read(monkeypatch):
    from synthcl.pipeline.data import digits, memory

    whole, resized = open_images("digits", image_size=16), []
    monkeypatch.setattr(digits, "resize_images", lambda images, size: resized.append((len(images), size)) or images)
    resize = memory.resize_images
    monkeypatch.setattr(
        memory, "resize_images", lambda images, s: resized.append((len(images), s)) or resize(images, s)
    )
    store = open_images("digits", image_size=16, as_read=True)
    assert (store.name, store.image_size, len(store)) == (whole.name, 16, len(whole))
    assert torch.equal(store.read([7, 2]), whole.read([7, 2]))
    assert resized == [(len(whole), 8), (2, 16)]
    assert store.fingerprint() == whole.fingerprint() and store.labels.tolist() == whole.labels.tolist()


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


def test_the_folder_of_a_run_is_no_source_of_images(tmp_path, picture):
    picture().save(tmp_path / "samples.png")
    assert len(open_images(str(tmp_path), image_size=8)) == 1
    for name in ("run.json", "config.yaml"):
        (tmp_path / name).touch()
    with pytest.raises(UsageError, match="the folder of a run, whose pictures are no images"):
        open_images(str(tmp_path), image_size=8)


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


def test_shard_sets_are_opened_by_their_own_reader(tmp_path, monkeypatch):
    import synthcl.pipeline.shards as shards

    (tmp_path / ".synthcl").mkdir()
    (tmp_path / ".synthcl" / "shardset.json").write_text("{}")
    monkeypatch.setitem(vars(shards), "open_shard_store", lambda path, image_size: (path, image_size))
    assert open_images(str(tmp_path), image_size=32) == (tmp_path, 32)


HUB = "hf://datasets/me/set"


@pytest.mark.parametrize(
    ("layout", "spec", "images"),
    [
        ({"data/train-0.parquet": 4, "data/test-0.parquet": 2, "figure.png": 1}, HUB, 4),
        ({"data/train-0.parquet": 4, "data/test-0.parquet": 2}, f"{HUB}:test", 2),
        ({"data/train-0.parquet": 4, "data/test-0.parquet": 2}, f"{HUB}:train[:50%]", 2),
        ({"plain/train-0.parquet": 4, "other/train-0.parquet": 3}, f"{HUB}/other", 3),
        ({"plain/train-0.parquet": 4, "other/train-0.parquet": 3}, f"{HUB}@main/plain/train-*", 4),
        ({"train/0.tar": 3, "train/1.tar": 3, "val/0.tar": 2}, HUB, 6),
        ({"cats/0.png": 1, "dogs/0.png": 1, "README.md": 0}, HUB, 2),
    ],
)
def test_images_on_the_hub(hub, tmp_path, picture, encode, write_tar, write_parquet, layout, spec, images):
    files = {}
    for name, count in layout.items():
        pictures = [encode(picture(i)) for i in range(count)]
        path = tmp_path / "repository" / name
        if name.endswith(".parquet"):
            write_parquet(path, pictures, labels=list(range(count)))
        elif name.endswith(".tar"):
            write_tar(path, {f"{i}.png": data for i, data in enumerate(pictures)})
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(pictures[0] if pictures else b"# card")
        files[name] = path.read_bytes()
    hub.put("dataset", "me/set", files)
    assert len(open_images(spec)) == images
    if spec == HUB and "data/test-0.parquet" in layout:
        assert splits_of(spec) == ["train", "test"] and data.test_spec(spec) == f"{HUB}:test"
        assert "figure.png" not in hub.fetched


def test_sets_in_several_folders_of_the_hub_are_to_be_named(hub):
    hub.put("dataset", "me/set", {"a/train-0.parquet": b"x", "b/train-0.parquet": b"x"})
    with pytest.raises(UsageError, match=r"several sets, in the folders a, b: name one, as in hf://datasets/me/set/a"):
        open_images(HUB)


def test_a_set_on_the_hub_that_holds_code_alone_is_refused(hub):
    hub.put("dataset", "me/set", {"set.py": b"raise SystemExit", "data.pkl": b"x"})
    with pytest.raises(DataError, match="neither code nor pickles"):
        open_images(HUB)
    assert hub.fetched == []

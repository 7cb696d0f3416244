"""A set on the hub: what is pushed is the set, its card loads it, and it is read from there."""

import gc
import re

import numpy as np
import pytest
import torch
import yaml

from synthcl.pipeline.data import open_images
from synthcl.pipeline.errors import DataError, UsageError
from synthcl.pipeline.shards.card import write_card
from synthcl.pipeline.shards.push import push_shards
from synthcl.pipeline.shards.reader import open_shard_set


def stored(hub, name="me/set"):
    return hub.repositories["dataset", name].files


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def test_the_repository_holds_the_set_and_a_card(hub, make_set):
    path = make_set()
    before = {file.relative_to(path).as_posix(): file.read_bytes() for file in path.rglob("*") if file.is_file()}
    result = push_shards(path, to="me/set", license="cc-by-4.0", data="digits", private=True)
    files = dict(stored(hub))
    card, picture = files.pop("README.md").decode(), files.pop(".synthcl/samples.png")
    assert files == before and picture.startswith(b"\x89PNG")
    head = yaml.safe_load(card.split("---")[1])
    assert head["license"] == "cc-by-4.0" and head["configs"][0]["data_files"] == "*.tar"
    assert "load_dataset('me/set', split='train')" in card and "--shards hf://datasets/me/set" in card
    assert hub.repositories["dataset", "me/set"].private
    assert result["set"] == "hf://datasets/me/set" and result["uploaded"] == len(before) + 2
    assert sorted(before) == sorted(f.relative_to(path).as_posix() for f in path.rglob("*") if f.is_file())


@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize("views", [1, 2])
def test_it_is_read_from_there_as_a_set_and_as_images(hub, make_set, views):
    path = make_set(images_per_sample=views)
    push_shards(path, to="me/set")
    here, there = open_shard_set(path), open_shard_set("hf://datasets/me/set")
    numbers = list(range(50))
    assert there.remote and there.recipe == here.recipe
    assert torch.equal(there.read_views(numbers), here.read_views(numbers))
    first = open_images("hf://datasets/me/set")
    assert torch.equal(first.read(np.arange(50)), open_images(str(path)).read(np.arange(50)))
    assert len(open_images("hf://datasets/me/set[:10%]")) == 5


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_the_lines_of_its_card_load_it_from_a_copy(hub, make_set, tmp_path, monkeypatch):
    """`datasets` reads the card of a folder as it reads that of a repository."""
    path = make_set(images_per_sample=2)
    push_shards(path, to="me/set")
    for name, data in stored(hub).items():
        file = tmp_path / "me" / "set" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.chdir(tmp_path)
    code = re.findall(r"```python\n(.*?)```", stored(hub)["README.md"].decode(), re.DOTALL)[1]
    scope = {}
    exec(code, scope)
    last = open_shard_set(path).read_views([49])[0].numpy()
    assert len(scope["dataset"]) == 50
    for image, wanted in zip(scope["images"], last, strict=True):
        assert (np.asarray(image.convert("RGB")).transpose(2, 0, 1) == wanted).all()
    scope.clear()
    gc.collect()


def test_a_grown_set_replaces_the_smaller_one(hub, make_set):
    path = make_set(num_samples=30)
    push_shards(path, to="me/set")
    uploads = len(hub.uploads)
    make_set(num_samples=50)
    result = push_shards(path, to="me/set")
    wanted = {f.relative_to(path).as_posix(): f.read_bytes() for f in path.rglob("*") if f.is_file()}
    there = dict(stored(hub))
    del there["README.md"], there[".synthcl/samples.png"]
    assert there == wanted and len(hub.repositories["dataset", "me/set"].commits) == 3
    assert len(hub.uploads) - uploads < result["uploaded"] < len(wanted) + 2  # not the first tar again
    again = push_shards(path, to="me/set")
    assert again["commit"] is None and again["uploaded"] == 0


def test_a_smaller_one_does_not_replace_it(hub, make_set):
    push_shards(make_set("large"), to="me/set")
    with pytest.raises(DataError, match="holds 50 samples of this set, and there are only 30 here"):
        push_shards(make_set("small", num_samples=30), to="me/set")


@pytest.mark.parametrize("there", [{"other.tar": b"x"}, {"data/train.parquet": b"x"}])
def test_other_data_is_left_alone(hub, make_set, there):
    hub.put("dataset", "me/set", there)
    with pytest.raises(DataError, match="holds other data"):
        push_shards(make_set(), to="me/set")
    assert stored(hub) == there


def test_another_set_is_left_alone(hub, make_set):
    from synthcl.pipeline.shards.writing.set_writer import write_shard_set

    path = make_set()
    push_shards(path, to="me/set")
    other = path.parent / "other"
    write_shard_set(other, {"seed": 4}, 5, 5, lambda i: torch.zeros(len(i), 1, 3, 16, 16, dtype=torch.uint8), workers=0)
    with pytest.raises(DataError, match="holds another set, of the recipe"):
        push_shards(other, to="me/set")


def test_damage_is_not_pushed(hub, make_set, flip):
    path = make_set()
    flip(path / "000001.tar", 700)
    with pytest.raises(DataError, match=r"is damaged \(000001.tar: .*shards verify"):
        push_shards(path, to="me/set")
    assert not hub.repositories


def test_a_card_of_the_users_own_is_pushed_as_it_is(hub, make_set):
    path = make_set()
    write_card(path)
    push_shards(path, to="me/one")
    assert "hf://datasets/me/one" in stored(hub, "me/one")["README.md"].decode()
    (path / "README.md").write_text("# My own")
    push_shards(path, to="me/two")
    assert stored(hub, "me/two")["README.md"] == b"# My own"


def test_an_upload_that_breaks_leaves_no_set_and_is_gone_on_with(hub, make_set):
    path = make_set()
    hub.fail("/commit/", 400)
    with pytest.raises(DataError, match="cannot push to me/set"):
        push_shards(path, to="me/set")
    assert stored(hub) == {}
    uploads = len(hub.uploads)
    push_shards(path, to="me/set")
    assert len(hub.uploads) == uploads and "000002.tar" in stored(hub)


def test_what_the_hub_does_not_take_is_said(hub, make_set):
    with pytest.raises(DataError, match=r'"license" must be one of cc-by-4.0'):
        push_shards(make_set(), to="me/set", license="mine")
    with pytest.raises(UsageError, match="give USER/NAME"):
        push_shards(make_set(), to="set")
    with pytest.raises(DataError, match="copy the set"):
        push_shards(make_set(), to="me/set")
        push_shards("hf://datasets/me/set", to="me/other")

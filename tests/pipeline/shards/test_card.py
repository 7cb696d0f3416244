"""The card of a set: true, loadable by its own lines, and no part of the set."""

import gc
import re

import numpy as np
import pytest
import yaml

from synthcl.pipeline.errors import DataError
from synthcl.pipeline.shards.card import write_card
from synthcl.pipeline.shards.reader import open_shard_set
from synthcl.pipeline.shards.verify import verify_shard_set
from synthcl.pipeline.shards.writing.adopt import index_shards
from synthcl.pipeline.shards.writing.set_writer import write_shard_set


@pytest.fixture
def collect_garbage():
    """The readers of others leave files to the collector of garbage, which then warns of them."""
    yield
    gc.collect()


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.usefixtures("collect_garbage")
@pytest.mark.parametrize("views", [1, 2, 3])
@pytest.mark.parametrize("number", [0, 1], ids=["webdataset", "datasets"])
def test_its_lines_load_the_set(make_set, tmp_path, monkeypatch, views, number):
    path = make_set(images_per_sample=views)
    write_card(path)
    code = re.findall(r"```python\n(.*?)```", (path / "README.md").read_text(), re.DOTALL)[number]
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.chdir(path)
    scope = {}
    exec(code, scope)
    last = open_shard_set(path).read_views([49])[0].numpy()
    assert len(scope["images"]) == len(last) == views
    for image, wanted in zip(scope["images"], last, strict=True):
        assert (np.asarray(image.convert("RGB")).transpose(2, 0, 1) == wanted).all()


def test_it_says_what_the_set_is_and_changes_nothing_of_it(make_set, render):
    path = make_set()
    before = {file: file.read_bytes() for file in path.rglob("*") if file.is_file()}
    recipe = open_shard_set(path).recipe
    result = write_card(path, data="digits")
    card = (path / "README.md").read_text()
    head = yaml.safe_load(card.split("---")[1])
    assert "webdataset" in head["tags"] and head["pretty_name"] == path.name
    assert "| samples | 50 |" in card and recipe.hash in card and "| format | png |" in card
    for name in recipe.values:
        assert f"| {name}" in card
    assert (path / ".synthcl" / "samples.png").is_file() and result["picture"] == str(path / ".synthcl/samples.png")
    after = {file: file.read_bytes() for file in path.rglob("*") if file.is_file()}
    assert {file: after.pop(file) for file in before} == before
    assert {file.name for file in after} == {"README.md", "samples.png"}
    assert verify_shard_set(path, decode=True).ok and open_shard_set(path).recipe == recipe
    write_card(path)  # and again


@pytest.mark.parametrize(
    ("beside", "said"),
    [({}, "They have no labels."), ({"cls": b"cat"}, "What they show is said in the column `label`; nobody checked.")],
)
def test_of_adopted_tars_it_claims_nothing(tmp_path, png, write_tar, beside, said):
    write_tar(tmp_path / "s" / "a.tar", {f"k.{end}": data for end, data in {"png": png(1), **beside}.items()})
    index_shards(tmp_path / "s")
    write_card(tmp_path / "s")
    card = (tmp_path / "s" / "README.md").read_text()
    assert said in card and "synthetic" not in card and "do not say where they come from" in card
    assert "A checksum of its tars" in card


def test_a_set_with_a_card_is_reused_and_grows(tmp_path, render):
    write_shard_set(tmp_path / "s", {"seed": 1}, 20, 10, render, workers=0)
    write_card(tmp_path / "s")
    assert write_shard_set(tmp_path / "s", {"seed": 1}, 20, 10, render, workers=0).reused
    assert write_shard_set(tmp_path / "s", {"seed": 1}, 30, 10, render, workers=0).written == 10
    assert verify_shard_set(tmp_path / "s").ok


def test_the_readme_of_someone_else_is_not_replaced(make_set):
    path = make_set()
    (path / "README.md").write_text("# by hand")
    with pytest.raises(DataError, match="is not a card that synthcl wrote: move it away"):
        write_card(path)
    assert (path / "README.md").read_text() == "# by hand"

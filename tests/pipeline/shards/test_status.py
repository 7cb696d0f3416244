"""How far a set is: published shards, complete sets, and summaries."""

from dataclasses import replace

import pytest

from synthcl.pipeline.errors import DataError
from synthcl.pipeline.shards.manifest import read_manifest
from synthcl.pipeline.shards.status import (
    complete_set,
    entry_of_sidecar,
    find_shard_sets,
    is_published,
    published_shards,
    summarize,
)
from synthcl.pipeline.shards.writable import LocalWritableSet


def test_a_published_shard_that_shrank_is_named(make_set) -> None:
    path = make_set()
    (path / "000001.tar").write_bytes(b"")
    with pytest.raises(
        DataError, match=r"000001.tar is cut short: it has 0 bytes, and .*; `synthcl shards verify .*lists"
    ):
        make_set()


def test_shards_count_once_they_have_a_sidecar_and_all_their_samples(make_set) -> None:
    path = make_set()
    recipe_hash = read_manifest(path).recipe.hash
    files = LocalWritableSet(path)
    assert is_published(files, "000002.tar", recipe_hash, 10) and not is_published(files, "000002.tar", recipe_hash, 20)
    with pytest.raises(DataError, match="belongs to another set"):
        is_published(files, "000001.tar", "another", 20)
    sidecar = path / ".synthcl" / "000001.parquet"
    entry, facts = entry_of_sidecar(sidecar.read_bytes(), str(sidecar))
    assert entry == read_manifest(path).shards[1] and (facts.image_size, facts.views_per_sample) == (16, 1)
    sidecar.unlink()
    assert not is_published(files, "000001.tar", recipe_hash, 20)
    assert [shard.name for shard in published_shards(files)] == ["000000.tar", "000002.tar"]


def test_the_larger_number_of_samples_counts(make_set, digest) -> None:
    path, grown = make_set(num_samples=40), make_set("grown", num_samples=80)
    plan, whole = read_manifest(grown), digest(grown)
    # As if a part that knew of 40 samples had completed the set while another raised it to 80.
    (grown / ".synthcl" / "shardset.json").write_text(read_manifest(path).to_json())
    files = LocalWritableSet(grown)
    with files.part() as lock:
        assert complete_set(files, plan, lock).complete and complete_set(files, read_manifest(path), lock).complete
    assert digest(grown) == whole


def test_sets_are_found_and_summarized(make_set, tmp_path) -> None:
    whole, part, damaged = make_set("a/whole"), make_set("b", images_per_sample=2), make_set("c")
    (part / ".synthcl" / "shardset.json").write_text(
        replace(read_manifest(part), complete=False, image_size=None, shards=()).to_json()
    )
    (part / ".synthcl" / "000000.parquet").unlink()
    (damaged / "000000.tar").unlink()
    assert find_shard_sets(tmp_path) == [whole, part, damaged]
    rows = [summarize(path) for path in (whole, part, damaged)]
    assert [row["state"] for row in rows] == ["complete", "partial", "damaged"]
    assert [row["num_published"] for row in rows[:2]] == [50, 30] and [row["num_shards"] for row in rows[:2]] == [3, 3]
    assert "000000.tar is missing" in rows[2]["error"]
    with pytest.raises(DataError, match="there is no folder"):
        find_shard_sets(tmp_path / "nowhere")

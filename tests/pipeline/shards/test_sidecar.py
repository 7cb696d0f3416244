"""Sidecars: they say where everything is."""

import tarfile

import numpy as np
import pyarrow.parquet as pq
import pytest

from synthcl.pipeline.errors import DataError
from synthcl.pipeline.files import file_sha256
from synthcl.pipeline.shards.manifest import read_manifest
from synthcl.pipeline.shards.sidecar import read_facts, read_places, read_table


def test_sidecar_says_where_everything_is(make_set) -> None:
    path = make_set(images_per_sample=2)
    table = pq.read_table(path / ".synthcl" / "000001.parquet").to_pydict()
    assert table["sample_index"] == list(range(20, 40)) and set(table["seed"]) == {3}
    assert table["key"] == [f"{i:010d}" for i in range(20, 40)] and set(table["shard"]) == {"000001.tar"}
    with tarfile.open(path / "000001.tar") as file:
        members = file.getmembers()
    assert [m.name for m in members[:2]] == ["0000000020.view0.png", "0000000020.view1.png"]
    assert table["offset"] == [m.offset_data for m in members[::2]]
    assert table["offset_view1"] == [m.offset_data for m in members[1::2]]
    assert table["size_view1"] == [m.size for m in members[1::2]]


def test_the_facts_of_a_tar_are_in_its_sidecar(make_set) -> None:
    path = make_set(images_per_sample=2)
    tar = path / "000001.tar"
    facts, rows = read_facts(path / ".synthcl" / "000001.parquet")
    assert rows == 20 and (facts.shard, facts.size, facts.sha256) == (tar.name, tar.stat().st_size, file_sha256(tar))
    assert facts.recipe_hash == read_manifest(path).recipe.hash and (facts.image_size, facts.views_per_sample) == (
        16,
        2,
    )


def test_places_are_those_of_the_columns(make_set) -> None:
    path = make_set(images_per_sample=2)
    manifest, sidecar = read_manifest(path), path / ".synthcl" / "000001.parquet"
    places, table = read_places(sidecar, manifest.shards[1], manifest), read_table(sidecar).to_pydict()
    for view, suffix in enumerate(("", "_view1")):
        columns = [table[name + suffix] for name in ("offset", "size", "crc32", "header_crc32")]
        assert list(places.at(np.arange(20), view)) == columns


def test_a_sidecar_that_is_not_the_one_asked_for_is_refused(make_set) -> None:
    sidecar = make_set() / ".synthcl" / "000001.parquet"
    with pytest.raises(DataError, match="has 20 rows where the shard has 21 samples"):
        read_table(sidecar, num_rows=21)
    with pytest.raises(DataError, match="its checksum is not the one in the set's manifest"):
        read_table(sidecar, sha256="0" * 64)
    with pytest.raises(DataError, match="has no column 'hardness'; it has key, shard"):
        read_table(sidecar, ["hardness"])

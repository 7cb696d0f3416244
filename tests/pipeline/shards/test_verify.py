"""Verification: what is damaged is listed with shard and key."""

import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from synthcl.pipeline.files import file_sha256
from synthcl.pipeline.shards import open_shard_set, write_shard_set
from synthcl.pipeline.shards.manifest import read_manifest
from synthcl.pipeline.shards.sidecar import read_facts, read_table, write_sidecar
from synthcl.pipeline.shards.status import entry_of_sidecar
from synthcl.pipeline.shards.verify import verify_shard_set
from synthcl.pipeline.shards.writing.adopt import index_shards


@pytest.mark.parametrize("options", [{}, {"images_per_sample": 2}, {"image_format": "webp"}])
def test_a_sound_set(make_set, options: dict[str, object]) -> None:
    path = make_set(**options)
    for decode in (False, True):
        assert verify_shard_set(path, decode=decode).to_dict() == {"ok": True, "num_samples": 50, "errors": []}


def offset_of(path: Path, sample: int) -> int:
    index = open_shard_set(path).locator
    shard, row = (int(a[0]) for a in index.locate(np.array([sample])))
    return int(index.places(shard).offsets[row, 0])


@pytest.mark.parametrize(
    ("inside", "message"), [(60, "checksum is not that of its bytes"), (-400, "tar header before it")]
)
def test_each_damaged_sample_is_named(make_set, flip, inside: int, message: str) -> None:
    path = make_set()
    for sample in (3, 27, 29):
        flip(path / f"00000{sample // 20}.tar", offset_of(path, sample) + inside)
    report = verify_shard_set(path)
    assert not report.ok and report.num_samples == 47
    assert [(e.shard, e.key) for e in report.errors] == [
        ("000000.tar", "0000000003"),
        ("000001.tar", "0000000027"),
        ("000001.tar", "0000000029"),
    ]
    assert all(message in e.error for e in report.errors)


@pytest.mark.parametrize(
    ("harm", "shard", "message"),
    [
        (lambda p: os.truncate(p / "000001.tar", 4096), "000001.tar", "cut short"),
        (lambda p: (p / "000001.tar").unlink(), "000001.tar", "No such file"),
        (lambda p: (p / ".synthcl/000001.parquet").unlink(), "000001.tar", "cannot read"),
        (lambda p: (p / ".synthcl/000001.parquet").write_bytes(b"x"), "000001.tar", "checksum"),
        (lambda p: shutil.copy(p / "000000.tar", p / "000007.tar"), "000007.tar", "not in the set's manifest"),
        (lambda p: shutil.copy(p / ".synthcl/000000.parquet", p / ".synthcl/000007.parquet"), None, "belongs to no"),
        (lambda p: (p / ".synthcl/shardset.json").write_text("{}"), None, "damaged"),
        (lambda p: shutil.rmtree(p / ".synthcl"), None, "is no shard set"),
    ],
)
def test_what_is_missing_or_too_much_is_listed(make_set, harm, shard: str | None, message: str) -> None:
    path = make_set()
    harm(path)
    report = verify_shard_set(path)
    assert not report.ok
    assert any(error.shard == shard and message in error.error for error in report.errors), report.errors


def test_a_flip_in_the_end_of_a_tar_is_noticed(make_set, flip) -> None:
    path = make_set()
    flip(path / "000001.tar", -1)
    report = verify_shard_set(path)
    assert [e.shard for e in report.errors] == ["000001.tar"] and "checksum" in report.errors[0].error


def test_many_errors_are_bounded(make_set) -> None:
    path = make_set(num_samples=300, samples_per_shard=300)
    data = bytearray((path / "000000.tar").read_bytes())
    data[600:] = bytes(len(data) - 600)
    (path / "000000.tar").write_bytes(bytes(data))
    report = verify_shard_set(path)
    assert 100 <= len(report.errors) <= 110 and report.num_samples == 1
    assert any("more in this shard" in error.error for error in report.errors)


def test_the_sound_shards_of_a_set_that_is_not_complete_count(tmp_path: Path, render) -> None:
    for index, there in ((1, 30), (2, 50)):  # shards 1 and 4, which is short, then 2
        write_shard_set(tmp_path, {}, 90, 20, render, process_index=index, num_processes=3, workers=0)
        report = verify_shard_set(tmp_path)
        assert report.num_samples == there
        assert len(report.errors) == 1 and "is not complete" in report.errors[0].error
    shutil.copy(tmp_path / ".synthcl/000001.parquet", tmp_path / ".synthcl/000003.parquet")
    assert "000003.parquet is not the sidecar of 000003.tar" in verify_shard_set(tmp_path).errors[-1].error


def test_a_damaged_sidecar_is_no_key_that_occurs_twice(make_set, flip) -> None:
    path = make_set()
    flip(path / ".synthcl/000001.parquet", 100)
    report = verify_shard_set(path)
    assert report.num_samples == 30
    assert [(e.shard, "checksum" in e.error) for e in report.errors] == [("000001.tar", True)]


def test_a_key_that_occurs_twice_is_told(tmp_path: Path, png, write_tar) -> None:
    """As in a set that was not made by this program: the sidecars are sound, each for itself."""
    path = tmp_path / "s"
    for name in "ab":
        write_tar(path / f"{name}.tar", {f"{name}.png": png(1)})
    index_shards(path)
    write_tar(path / "b.tar", {"a.png": png(1)})
    facts = read_facts(path / ".synthcl/b.parquet")[0]
    facts = replace(facts, sha256=file_sha256(path / "b.tar"))
    table = read_table(path / ".synthcl/a.parquet")
    for place, (column, values) in enumerate({"key": ["a"], "shard": ["b.tar"], "sample_index": [1]}.items()):
        table = table.set_column(place, column, pa.array(values))
    data = write_sidecar(table, facts)
    (path / ".synthcl/b.parquet").write_bytes(data)
    manifest = read_manifest(path)
    entry = entry_of_sidecar(data, "b.parquet")[0]
    (path / ".synthcl/shardset.json").write_text(replace(manifest, shards=(manifest.shards[0], entry)).to_json())
    assert [error.error for error in verify_shard_set(path).errors] == ["a key occurs in two shards"]

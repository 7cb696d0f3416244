"""What sidecars hold beyond their tars outlives a manifest that was lost, and indexing again."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from synthcl.pipeline.errors import DataError
from synthcl.pipeline.shards import open_shard_set
from synthcl.pipeline.shards.layout import manifest_path
from synthcl.pipeline.shards.verify import verify_shard_set
from synthcl.pipeline.shards.writing.adopt import index_shards
from synthcl.pipeline.shards.writing.set_writer import write_shard_set


def sidecars(path: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in (path / ".synthcl").glob("*.parquet")}


def test_a_recording_that_lost_its_manifest_keeps_its_columns(recorded: Path) -> None:
    table, before = open_shard_set(recorded).table(), sidecars(recorded)
    manifest_path(recorded).unlink()
    with pytest.raises(DataError, match=r"shards index .* makes one, and keeps the columns"):
        open_shard_set(recorded)
    for _ in range(2):  # and indexing again changes nothing
        assert index_shards(recorded).manifest.kind == "adopted"
        assert sidecars(recorded) == before and verify_shard_set(recorded).ok
        assert open_shard_set(recorded).table().schema == table.schema
    shards = open_shard_set(recorded, where="step = 3 and generator = 'b'")
    assert (shards.read_views(range(3)) == 3).all()


@pytest.mark.parametrize("labels", [(), ("cls",)])
def test_a_generated_set_keeps_its_columns(tmp_path: Path, render, labels: tuple[str, ...]) -> None:
    path = tmp_path / "s"
    write_shard_set(
        path, {"seed": 5}, 30, 10, render, describe=lambda i: {"class": (i % 3).tolist()}, labels=labels, workers=0
    )
    before = sidecars(path)
    manifest_path(path).unlink()
    index_shards(path)
    assert sidecars(path) == before and verify_shard_set(path).ok
    assert open_shard_set(path, where="class = 2").sample_indices(range(10)).tolist() == list(range(2, 30, 3))
    assert set(open_shard_set(path).column("seed")) == {5}


def test_samples_are_numbered_anew_where_a_shard_is_gone(recorded: Path, tmp_path: Path) -> None:
    table, before = open_shard_set(recorded).table(), sidecars(recorded)
    away = [recorded / "000000.tar", recorded / ".synthcl" / "000000.parquet"]
    for file in (*away, manifest_path(recorded)):
        shutil.move(file, tmp_path)
    index_shards(recorded)
    found = open_shard_set(recorded).table()
    assert found["step"].to_pylist() == table["step"].to_pylist()[8:]
    assert found["sample_index"].to_pylist() == list(range(22)) and verify_shard_set(recorded).ok
    for file in away:
        shutil.move(tmp_path / file.name, file)
    index_shards(recorded)
    assert sidecars(recorded) == before and verify_shard_set(recorded).ok


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (lambda p: (p / ".synthcl/000001.parquet").write_bytes(b"x"), r"has step, hardness, .* not of those of 000001"),
        (lambda p: (p / ".synthcl/000001.parquet").unlink(), r"has step, .* of 000000.tar, and not of those of 000001"),
        (lambda p: (p / "000001.tar").unlink(), r"000001.parquet is damaged, or its tar is missing or another one"),
        (lambda p: shutil.copy(p / "000000.tar", p / "000001.tar"), "in 000000.tar and again in 000001.tar"),
    ],
)
def test_what_would_lose_columns_is_refused(recorded: Path, digest, harm, message: str) -> None:
    manifest_path(recorded).unlink()
    harm(recorded)
    before = digest(recorded)
    with pytest.raises(DataError, match=message):
        index_shards(recorded)
    assert digest(recorded) == before


def test_damaged_sidecars_are_not_replaced_without_a_manifest(make_set, digest) -> None:
    path = make_set(num_samples=20)
    manifest_path(path).unlink()
    (path / ".synthcl" / "000000.parquet").write_bytes(b"x")
    before = digest(path)
    with pytest.raises(DataError, match=r"000000.parquet is damaged, .* move .*000000.parquet away if"):
        index_shards(path)
    assert digest(path) == before
    (path / ".synthcl" / "000000.parquet").unlink()
    assert index_shards(path).num_samples == 20


def test_a_plain_tar_does_not_join_a_set_with_columns(recorded: Path, png, write_tar, digest) -> None:
    manifest_path(recorded).unlink()
    index_shards(recorded)
    before = digest(recorded)
    write_tar(recorded / "z.tar", {"z.png": png(1, (4, 4))})
    with pytest.raises(DataError, match=r"and not of those of z\.tar, .* or move z\.tar away"):
        index_shards(recorded)
    (recorded / "z.tar").unlink()
    assert digest(recorded) == before and np.isnan(open_shard_set(recorded).column("hardness")).any()

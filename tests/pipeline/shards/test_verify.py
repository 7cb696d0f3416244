"""Verification: what is damaged is listed with shard and key."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from synthcl.pipeline.shards import open_shard_set
from synthcl.pipeline.shards.verify import verify_shard_set


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

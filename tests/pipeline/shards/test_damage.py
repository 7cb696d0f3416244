"""Every kind of damage: a named error before training or at the read, never a shorter epoch."""

import os
import shutil
from pathlib import Path

import pytest
import torch

from synthcl.pipeline.errors import DataError
from synthcl.pipeline.shards import open_shard_set


def read_all(path: Path) -> torch.Tensor:
    shards = open_shard_set(path)
    return shards.read_views(range(len(shards)))


def cut(path: Path, length: int) -> None:
    os.truncate(path, length if length >= 0 else path.stat().st_size + length)


def member(path: Path, shard: str, row: int) -> int:
    """Where the header of a member begins."""
    shards = open_shard_set(path)
    return int(shards.locator.places(int(shard[:6])).offsets[row, 0]) - 512


# What is done to a set, and what the error must name.
DAMAGE = {
    "truncated at a sample boundary": (lambda p, flip: cut(p / "000001.tar", member(p, "000001", 7)), "000001.tar"),
    "truncated in a header": (lambda p, flip: cut(p / "000001.tar", member(p, "000001", 7) + 100), "000001.tar"),
    "truncated in a payload": (lambda p, flip: cut(p / "000001.tar", member(p, "000001", 7) + 600), "000001.tar"),
    "truncated before the end marker": (lambda p, flip: cut(p / "000001.tar", -1024), "000001.tar"),
    "emptied": (lambda p, flip: cut(p / "000001.tar", 0), "000001.tar"),
    "flipped payload": (lambda p, flip: flip(p / "000001.tar", member(p, "000001", 7) + 600), "0000000027"),
    "flipped header name": (lambda p, flip: flip(p / "000001.tar", member(p, "000001", 7) + 3), "0000000027"),
    "flipped header size": (lambda p, flip: flip(p / "000001.tar", member(p, "000001", 7) + 130), "0000000027"),
    "flipped sidecar": (lambda p, flip: flip(p / ".synthcl/000001.parquet", 300), "000001.parquet"),
    "flipped sidecar footer": (lambda p, flip: flip(p / ".synthcl/000001.parquet", -20), "000001.parquet"),
    "sidecar cut short": (lambda p, flip: cut(p / ".synthcl/000001.parquet", -1), "000001.parquet"),
    "sidecar missing": (lambda p, flip: (p / ".synthcl/000001.parquet").unlink(), "000001.parquet"),
    "sidecar of another shard": (
        lambda p, flip: shutil.copy(p / ".synthcl/000000.parquet", p / ".synthcl/000001.parquet"),
        "000001.parquet",
    ),
    "shard missing": (lambda p, flip: (p / "000001.tar").unlink(), "000001.tar"),
    "shard twice": (lambda p, flip: shutil.copy(p / "000000.tar", p / "000001.tar"), "0000000020"),
    "shard that is a folder": (
        lambda p, flip: ((p / "000001.tar").unlink(), (p / "000001.tar").mkdir()),
        "000001.tar",
    ),
    "shard that is a pipe": (
        lambda p, flip: ((p / "000001.tar").unlink(), os.mkfifo(p / "000001.tar")),
        "000001.tar",
    ),
    "one shard too many": (lambda p, flip: shutil.copy(p / "000000.tar", p / "000009.tar"), "000009.tar"),
    "manifest flipped": (lambda p, flip: flip(p / ".synthcl/shardset.json", 900), "shardset.json"),
    "manifest cut short": (lambda p, flip: cut(p / ".synthcl/shardset.json", -5), "shardset.json"),
    "manifest missing": (lambda p, flip: (p / ".synthcl/shardset.json").unlink(), "no shard set"),
    "manifest not text": (lambda p, flip: (p / ".synthcl/shardset.json").write_bytes(b"\xff\x00{"), "shardset.json"),
    "manifest deeply nested": (
        lambda p, flip: (p / ".synthcl/shardset.json").write_text("[" * 100_000),
        "shardset.json",
    ),
}


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("options", [{}, {"images_per_sample": 2, "image_format": "jpg"}], ids=["png", "jpg pairs"])
def test_damage_is_named(make_set, flip, damage: str, options: dict[str, object]) -> None:
    path = make_set(num_samples=50, samples_per_shard=20, **options)
    harm, named = DAMAGE[damage]
    harm(path, flip)
    with pytest.raises(DataError, match=named):
        read_all(path)


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_ends_a_training_before_its_first_step(make_set, flip, commands_refuse, damage: str) -> None:
    path = make_set(num_samples=50, samples_per_shard=20)
    harm, named = DAMAGE[damage]
    harm(path, flip)
    commands_refuse(path, named)


@pytest.mark.parametrize("damage", ["flipped payload", "flipped header name", "flipped sidecar"])
def test_damage_ends_a_training_at_the_read_that_meets_it(make_set, flip, commands_refuse, damage: str) -> None:
    """Without a cache; an epoch is five steps of ten samples, so every sample is met."""
    path = make_set(num_samples=50, samples_per_shard=20)
    harm, named = DAMAGE[damage]
    harm(path, flip)
    commands_refuse(path, named, "--cache", "none", verify=False)


def test_damage_after_opening_is_met_at_the_read(make_set, flip) -> None:
    path = make_set()
    shards = open_shard_set(path)
    shards.read_views([25])
    os.truncate(path / "000001.tar", 4096)
    with pytest.raises(DataError, match=r"sample '0000000039'.*000001.tar.* is cut short"):
        shards.read_views([39])


def test_a_disk_that_fails_is_named_with_sample_and_shard(make_set, monkeypatch: pytest.MonkeyPatch) -> None:
    shards = open_shard_set(make_set())
    shards.read_views([25])

    def fail(*arguments: int) -> bytes:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "pread", fail)
    with pytest.raises(DataError, match=r"sample '0000000026'.*000001.tar.* cannot be read: Input/output error"):
        shards.read_views([26])

"""The manifest: the recipe as the set's identity, and no byte of the file unguarded."""

from dataclasses import replace

import pytest

from synthcl.pipeline.errors import DataError
from synthcl.pipeline.shards import Recipe, open_shard_set
from synthcl.pipeline.shards.manifest import read_manifest
from synthcl.pipeline.shards.writable import LocalWritableSet


def test_hash_depends_on_values_and_not_on_their_order() -> None:
    first = Recipe({"seed": 1, "sampler": {"steps": 10, "name": "ddim"}})
    second = Recipe({"sampler": {"name": "ddim", "steps": 10}, "seed": 1})
    assert first.hash == second.hash and len(first.hash) == 64
    assert Recipe({"seed": 2}).hash != Recipe({"seed": 1}).hash
    assert Recipe({"a": (1, 2)}) == Recipe({"a": [1, 2]})


def test_known_hash_does_not_change() -> None:
    """It is SHA-256 of '{"name":"a","seed":0}'; sets that exist are found by it."""
    assert Recipe({"seed": 0, "name": "a"}).hash == "fa6465d73f5bf96d288a9e2d47cfb1f3b278bff7191c4bcee397ced59b0486de"


def test_differences_name_what_and_both_values() -> None:
    there = Recipe({"seed": 1, "sampler": {"steps": 10}, "gone": None})
    now = Recipe({"seed": 2, "sampler": {"steps": 10}, "new": "x"})
    assert there.differences(now) == [
        "gone: null there, nothing now",
        'new: nothing there, "x" now',
        "seed: 1 there, 2 now",
    ]
    assert there.differences(there) == []


@pytest.mark.parametrize("values", [{"a": float("nan")}, {"a": object()}])
def test_values_that_json_lacks_are_refused(values: dict[str, object]) -> None:
    with pytest.raises((TypeError, ValueError)):
        Recipe(values)


def test_a_manifest_that_no_command_accepts_is_not_written(make_set, digest) -> None:
    path = make_set()
    before, files = digest(path), LocalWritableSet(path)
    with files.part() as lock, pytest.raises(DataError, match=r"shardset\.json is not sound: .* add up to 70 samples"):
        replace(read_manifest(path), num_samples=70).publish(files, lock, replace=True)
    assert digest(path) == before


def test_every_byte_is_guarded(make_set, flip) -> None:
    path = make_set()
    file = path / ".synthcl" / "shardset.json"
    whole = file.read_bytes()
    for offset in range(0, len(whole), 7):
        if not whole[offset : offset + 1].isspace():
            flip(file, offset)
            with pytest.raises(DataError, match=r"shardset\.json"):
                open_shard_set(path)
            file.write_bytes(whole)

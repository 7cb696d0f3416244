"""The set of a recording on disk: its open shard, commits and rewinding. (test_recorder.py kills it at each step.)"""

import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from synthcl.pipeline.errors import DataError
from synthcl.pipeline.images.encoding import Encoding
from synthcl.pipeline.shards import open_shard_set
from synthcl.pipeline.shards.manifest import read_manifest
from synthcl.pipeline.shards.sidecar import RECORDED, read_metadata
from synthcl.pipeline.shards.writing.recorded_set import RecordedSet, plan_recorded_set
from synthcl.pipeline.shards.writing.set_writer import plan_set
from synthcl.pipeline.shards.writing.tar_chunk import encode_chunk

PER_STEP, PER_SHARD = 2, 6


def open_set(directory: Path) -> RecordedSet:
    return RecordedSet(directory, plan_recorded_set(plan_set({"seed": 1}, 1, PER_SHARD, 1, "png", None)))


def append(recorded: RecordedSet, render, steps: range) -> None:
    for step in steps:
        first = recorded.num_samples
        chunk = encode_chunk(first, render(np.arange(first, first + PER_STEP)), Encoding())
        columns = {name: pa.nulls(PER_STEP, kind) for name, kind in RECORDED.items()}
        recorded.append(chunk, {**columns, "step": pa.array([step] * PER_STEP, pa.int64())}, 16)


def test_full_shards_are_published_and_the_open_one_is_kept(tmp_path: Path, render, digest) -> None:
    with open_set(tmp_path / "set") as recorded:
        recorded.rewind(0)
        append(recorded, render, range(5))
        assert (recorded.num_samples, recorded.space) == (10, 2)
        recorded.commit(5)
        hidden = {"shardset.json", "000000.parquet", "recording.tar", "recording.parquet", "lock-0-of-1"}
        assert {path.name for path in (tmp_path / "set" / ".synthcl").iterdir()} == hidden
    with pytest.raises(DataError, match="is not complete"):
        open_shard_set(tmp_path / "set")
    with open_set(tmp_path / "set") as recorded:
        recorded.rewind(5)
        assert recorded.num_samples == 10 and recorded.finish().num_samples == 10
    shards = open_shard_set(tmp_path / "set")
    assert (shards.read_views(range(10)).numpy() == render(np.arange(10))).all()
    assert shards.column("step").tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]


@pytest.mark.parametrize("steps", [0, 1, 3, 4, 7])
def test_rewinding_gives_the_bytes_of_a_recording_that_never_went_further(
    tmp_path: Path, render, digest, steps: int
) -> None:
    for name, first in (("straight", steps), ("rewound", 8)):
        with open_set(tmp_path / name) as recorded:
            recorded.rewind(0)
            append(recorded, render, range(first))
            recorded.commit(first)
        with open_set(tmp_path / name) as recorded:
            recorded.rewind(steps)
            assert recorded.num_samples == steps * PER_STEP
            append(recorded, render, range(steps, 8))
            recorded.finish()
    assert digest(tmp_path / "straight") == digest(tmp_path / "rewound")


def test_steps_that_were_not_committed_are_lost_and_named(tmp_path: Path, render) -> None:
    with open_set(tmp_path / "set") as recorded:
        recorded.rewind(0)
        append(recorded, render, range(4))
        recorded.commit(4)
        append(recorded, render, range(4, 5))
    with open_set(tmp_path / "set") as recorded, pytest.raises(DataError, match="ends after 4 steps"):
        recorded.rewind(5)


@pytest.fixture
def disk_calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is flushed and what is given a name, in order; a temporary file goes by the name that it will have."""
    calls: list[str] = []
    fsync = os.fsync

    def flush(descriptor: int) -> None:
        number = os.fstat(descriptor).st_ino
        (path,) = (path for path in tmp_path.rglob("*") if path.stat().st_ino == number)
        calls.append("flush " + path.name.removeprefix(".tmp-0-of-1-"))
        fsync(descriptor)

    def naming(real):
        def name(source: Path, target: Path) -> None:
            calls.append(f"name {Path(target).name}")
            real(source, target)

        return name

    monkeypatch.setattr(os, "fsync", flush)
    for call in ("link", "rename", "replace"):
        monkeypatch.setattr(os, call, naming(getattr(os, call)))
    return calls


def test_a_commit_flushes_the_tar_before_the_rows_that_count_on_it(tmp_path: Path, render, disk_calls) -> None:
    with open_set(tmp_path / "set") as recorded:
        recorded.rewind(0)
        append(recorded, render, range(2))
        disk_calls.clear()
        recorded.commit(2)
    rows = "recording.parquet"
    assert disk_calls == ["flush recording.tar", f"flush {rows}", f"name {rows}", "flush .synthcl"]


def test_a_shard_is_whole_on_disk_before_the_sidecar_that_counts_it(tmp_path: Path, render, disk_calls) -> None:
    with open_set(tmp_path / "set") as recorded:
        recorded.rewind(0)
        append(recorded, render, range(2))
        disk_calls.clear()
        append(recorded, render, range(2, 3))
    in_order = [
        disk_calls.index(call)
        for call in ("flush recording.tar", "name 000000.tar", "flush set", "name 000000.parquet")
    ]
    assert in_order == sorted(in_order)
    assert disk_calls.index("flush 000000.parquet") < disk_calls.index("name 000000.parquet")


def test_going_back_removes_shards_last_first_when_their_copy_is_there_and_no_manifest_names_them(
    tmp_path: Path, render, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory, removed, remove = tmp_path / "set", [], RecordedSet._remove
    with open_set(directory) as recorded:
        recorded.rewind(0)
        append(recorded, render, range(9))
        recorded.finish()

    def check(recorded: RecordedSet, number: int) -> None:
        assert not read_manifest(directory).complete
        assert read_metadata(directory / ".synthcl" / "recording.parquet")[0]["number"] == 1
        assert (directory / ".synthcl" / "recording.tar").stat().st_size > 0
        removed.append(number)
        remove(recorded, number)

    monkeypatch.setattr(RecordedSet, "_remove", check)
    with open_set(directory) as recorded:
        recorded.rewind(4)
    assert removed == [2, 1]


def test_a_finished_recording_that_cannot_go_on_stays_finished(tmp_path: Path, render, flip) -> None:
    with open_set(tmp_path / "set") as recorded:
        recorded.rewind(0)
        append(recorded, render, range(9))
        recorded.finish()
    flip(tmp_path / "set" / "000001.tar", 600)
    with open_set(tmp_path / "set") as recorded, pytest.raises(DataError, match="cannot go on from it"):
        recorded.rewind(4)
    assert read_manifest(tmp_path / "set").complete and len(open_shard_set(tmp_path / "set")) == 9 * PER_STEP

"""The set of a recording on disk: its open shard, commits and rewinding. (test_recorder.py kills it at each step.)"""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from synthcl.pipeline.errors import DataError
from synthcl.pipeline.images.encoding import Encoding
from synthcl.pipeline.shards import open_shard_set
from synthcl.pipeline.shards.sidecar import RECORDED
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

"""Recordings: durable at each commit, without loss or doubles over any number of kills."""

import os
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from synthcl.pipeline.errors import DataError, UsageError
from synthcl.pipeline.shards import ShardRecorder, open_shard_set
from synthcl.pipeline.shards.writing import recorded_set

PER_STEP, TOTAL = 7, 24

RUN = """
import os, sys, time
from pathlib import Path
import numpy as np
from synthcl.pipeline.shards import ShardRecorder

PER_STEP, TOTAL = 7, 24

def images(step):
    return np.random.default_rng(step).integers(0, 16, (PER_STEP, 2, 3, 8, 8), dtype=np.uint8)

def append(recorder, step):
    recorder.append(step, images(step), hardness=np.arange(PER_STEP) + step / 10,
        pair_similarity=np.full(PER_STEP, 0.5), generator=f"G@{step // 10}")

def run(directory, checkpoint, delay=0.0, total=TOTAL):
    steps = int(Path(checkpoint).read_text()) if os.path.exists(checkpoint) else 0
    with ShardRecorder(directory, {"seed": 1}, samples_per_shard=30, images_per_sample=2, workers=0) as recorder:
        recorder.rewind(steps)
        for step in range(steps, total):
            time.sleep(delay)
            append(recorder, step)
            if (step + 1) % 4 == 0:
                recorder.commit(step + 1)
                Path(checkpoint + ".new").write_text(str(step + 1))
                os.replace(checkpoint + ".new", checkpoint)
        return recorder.finish()
"""
# The same code runs here and, to be killed, in a process of its own.
_worker: dict = {}
exec(RUN, _worker)
images, append, run = (_worker[name] for name in ("images", "append", "run"))


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    info = run(tmp_path / "whole", str(tmp_path / "whole.step"))
    assert info.complete and info.num_samples == PER_STEP * TOTAL
    return tmp_path / "whole"


def test_a_recording_is_a_set_in_recorded_order(whole: Path) -> None:
    shards = open_shard_set(whole)
    assert len(shards) == PER_STEP * TOTAL and shards.views_per_sample == 2
    assert (shards.column("step") == np.repeat(np.arange(TOTAL), PER_STEP)).all()
    assert (shards.column("latent_index") == np.tile(np.arange(PER_STEP), TOTAL)).all()
    step = 9
    rows = np.flatnonzero(shards.column("step") == step)
    assert (shards.read_views(rows).numpy() == images(step)).all()
    table = shards.table(rows, ["hardness", "pair_similarity", "generator", "seed"]).to_pydict()
    assert np.allclose(table["hardness"], np.arange(PER_STEP) + 0.9)
    assert set(table["generator"]) == {"G@0"} and set(table["seed"]) == {1} and set(table["pair_similarity"]) == {0.5}
    assert shards.info.manifest.kind == "recorded"


@pytest.mark.parametrize("killed_after", [1, 4, 5, 9, 16, 23])
@pytest.mark.parametrize("resumed_at", ["last checkpoint", "one before", "start"])
def test_resuming_from_a_checkpoint_gives_the_same_bytes(
    tmp_path: Path, whole: Path, digest, killed_after: int, resumed_at: str
) -> None:
    directory = tmp_path / "cut"
    with ShardRecorder(directory, {"seed": 1}, samples_per_shard=30, images_per_sample=2, workers=0) as recorder:
        recorder.rewind(0)
        for step in range(killed_after):
            append(recorder, step)
            if (step + 1) % 4 == 0:
                recorder.commit(step + 1)
    last = killed_after // 4 * 4
    steps = {"last checkpoint": last, "one before": max(0, last - 4), "start": 0}[resumed_at]
    checkpoint = tmp_path / "cut.step"
    checkpoint.write_text(str(steps))
    run(directory, str(checkpoint))
    assert digest(directory) == digest(whole)


def test_a_finished_recording_goes_on(tmp_path: Path, whole: Path, digest) -> None:
    run(tmp_path / "short", str(tmp_path / "short.step"), total=20)
    run(tmp_path / "short", str(tmp_path / "short.step"))
    assert digest(tmp_path / "short") == digest(whole)


def test_killed_at_random_moments(tmp_path: Path, whole: Path, digest) -> None:
    rng, kills = random.Random(0), 0
    code = RUN + "\nrun(sys.argv[1], sys.argv[2], 0.01)"
    while True:
        process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "kill"), str(tmp_path / "kill.step")])
        try:
            assert process.wait(timeout=rng.uniform(0.6, 1.0) + 0.3 * kills) == 0
            break
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            kills += 1
    assert digest(tmp_path / "kill") == digest(whole)


@pytest.mark.parametrize("call", [*range(1, 25, 2), *range(26, 56, 6)])
def test_killed_at_each_step_of_publication_and_of_going_back(
    tmp_path: Path, whole: Path, digest, killed_at, call: int
) -> None:
    directory, checkpoint = tmp_path / "kill", str(tmp_path / "kill.step")
    assert killed_at(60 + call, lambda: run(directory, checkpoint))  # while recording
    assert killed_at(call, lambda: run(directory, checkpoint))  # while going back
    assert not killed_at(0, lambda: run(directory, checkpoint))
    assert digest(directory) == digest(whole)


@pytest.mark.parametrize("call", range(1, 40, 3))
def test_killed_while_going_back_over_published_shards(
    tmp_path: Path, whole: Path, digest, killed_at, call: int
) -> None:
    checkpoint = tmp_path / "whole.step"
    checkpoint.write_text("8")  # the checkpoints after this one are damaged, say
    killed_at(call, lambda: run(whole, str(checkpoint)))
    checkpoint.write_text("8")
    expected = tmp_path / "again"
    run(expected, str(tmp_path / "again.step"))
    run(whole, str(checkpoint))
    assert digest(whole) == digest(expected)


def test_tensors_and_missing_columns(tmp_path: Path) -> None:
    with ShardRecorder(tmp_path / "r", {}, samples_per_shard=4, workers=1) as recorder:
        recorder.rewind(0)
        images = torch.arange(5 * 3 * 4 * 4, dtype=torch.uint8).reshape(5, 1, 3, 4, 4)
        recorder.append(0, images, hardness=torch.full((5,), 1.5, dtype=torch.bfloat16))
        info = recorder.finish()
    assert info.num_shards == 2
    shards = open_shard_set(tmp_path / "r")
    assert (shards.read_views(range(5)) == images).all()
    assert shards.table(columns=["pair_similarity"])["pair_similarity"].null_count == 5
    assert set(shards.column("hardness")) == {1.5}


CLASSES, PROMPTS = np.arange(PER_STEP) % 3, ["a cat", "ein Hund", "鳥"]


def labelled(directory: Path, steps: range, columns: tuple[str, ...] = ("class", "prompt")) -> None:
    """Take up a recording with what samples were drawn for, and go on to the end of `steps`."""

    def conditions() -> dict[str, list]:
        return {"class": CLASSES.tolist(), "prompt": [PROMPTS[i] for i in CLASSES]}

    with ShardRecorder(
        directory, {"seed": 1}, samples_per_shard=30, images_per_sample=2, columns=columns, workers=0
    ) as recorder:
        recorder.rewind(steps.start)
        for step in steps:
            recorder.append(step, images(step), hardness=np.zeros(PER_STEP), conditions=conditions)
        recorder.commit(steps.stop)
        if steps.stop == TOTAL:
            recorder.finish()


def test_what_samples_were_drawn_for_is_in_the_sidecars_and_survives_going_back(tmp_path: Path, digest) -> None:
    labelled(tmp_path / "whole", range(TOTAL))
    shards = open_shard_set(tmp_path / "whole")
    assert (shards.column("class") == np.tile(CLASSES, TOTAL)).all()
    assert shards.table([1, 9], ["prompt"])["prompt"].to_pylist() == [PROMPTS[1], PROMPTS[2]]
    labelled(tmp_path / "cut", range(13))
    labelled(tmp_path / "cut", range(9, 12))
    labelled(tmp_path / "cut", range(5, TOTAL))
    assert digest(tmp_path / "cut") == digest(tmp_path / "whole")


def test_a_recording_that_was_begun_without_goes_on_without(tmp_path: Path, digest) -> None:
    labelled(tmp_path / "before", range(TOTAL), columns=())
    labelled(tmp_path / "now", range(9), columns=())
    labelled(tmp_path / "now", range(9, TOTAL))
    assert digest(tmp_path / "now") == digest(tmp_path / "before")
    assert "class" not in open_shard_set(tmp_path / "now").locator.column_names()
    labelled(tmp_path / "with", range(9))
    with pytest.raises(UsageError, match=r'columns: \["class", "prompt"\] there, nothing now'):
        labelled(tmp_path / "with", range(9, TOTAL), columns=())


def test_as_many_values_as_samples_are_asked_for(tmp_path: Path) -> None:
    with ShardRecorder(tmp_path / "r", {}, columns=["class"], workers=0) as recorder:
        recorder.rewind(0)
        recorder.append(0, np.zeros((2, 1, 3, 4, 4), np.uint8), hardness=np.zeros(2), conditions=lambda: {"class": [1]})
        with pytest.raises(ValueError, match="class of step 0 has 1 values for 2 samples"):
            recorder.commit(1)


def test_what_cannot_be_continued_is_refused(tmp_path: Path, whole: Path, make_set) -> None:
    def recorder(path: Path, recipe: dict[str, object]) -> ShardRecorder:
        return ShardRecorder(path, recipe, samples_per_shard=30, images_per_sample=2, workers=0)

    with pytest.raises(UsageError, match="seed: 1 there, 2 now"), recorder(whole, {"seed": 2}):
        pass
    with pytest.raises(UsageError, match="a shard set that was not recorded"), recorder(make_set(), {"seed": 1}):
        pass
    with recorder(whole, {"seed": 1}) as other:
        with pytest.raises(DataError, match="holds a finished recording, and this run is new"):
            other.rewind(0)
        with pytest.raises(DataError, match="ends after 24 steps, and the run continues after 30"):
            other.rewind(30)
        with pytest.raises(DataError, match="being written by another process"), recorder(whole, {"seed": 1}):
            pass
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    with pytest.raises(DataError, match="not empty and holds no recording"), recorder(tmp_path / "full", {}):
        pass


def test_a_damaged_recording_is_not_continued(tmp_path: Path, whole: Path, flip) -> None:
    flip(whole / "000005.tar", 3 * 512 + 100)
    recorder = ShardRecorder(whole, {"seed": 1}, samples_per_shard=30, images_per_sample=2, workers=0)
    with recorder, pytest.raises(DataError, match=r"000005.tar is damaged; the recording cannot go on"):
        recorder.rewind(24)


def test_a_full_disk_is_reported_and_nothing_after_the_gap_is_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = 0
    real = os.write

    def full(descriptor: int, data: bytes) -> int:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise OSError(28, "No space left on device")
        return real(descriptor, data)

    with ShardRecorder(tmp_path / "r", {}, samples_per_shard=100, workers=0) as recorder:
        recorder.rewind(0)
        monkeypatch.setattr(recorded_set.os, "write", full)
        with pytest.raises(DataError, match="No space left on device"):
            for step in range(50):
                recorder.append(step, np.zeros((2, 1, 3, 4, 4), np.uint8), hardness=np.zeros(2))
            recorder.commit(50)
    assert calls == 3

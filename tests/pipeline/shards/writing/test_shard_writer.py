"""Writing shards beside generation."""

import threading
import time
from pathlib import Path

import numpy as np
import pytest

from synthcl.pipeline.errors import DataError
from synthcl.pipeline.shards import publish, write_shard_set
from synthcl.pipeline.shards.writable import open_writable
from synthcl.pipeline.shards.writing import encoder_pool
from synthcl.pipeline.shards.writing.encoder_pool import EncoderPool
from synthcl.pipeline.shards.writing.set_writer import begin_set, encoding_of, missing_shards, plan_set, write_shards


def test_the_generator_does_not_wait_for_the_disk(tmp_path: Path, render, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a shard is being published, rendering goes on."""
    rendered, seen = [], []
    real = publish.TemporaryFile.finish

    def slow(self) -> None:
        if self.path.name.endswith("000000.tar"):
            for _ in range(500):
                if rendered and rendered[-1] >= 60:
                    break
                threading.Event().wait(0.01)
            seen.append(rendered[-1])
        real(self)

    monkeypatch.setattr(publish.TemporaryFile, "finish", slow)

    def note(indices: np.ndarray) -> np.ndarray:
        rendered.append(int(indices[-1]))
        return render(indices)

    write_shard_set(tmp_path / "s", {}, 100, 20, note, workers=1)
    assert seen[0] >= 60


def test_progress_counts_samples(tmp_path: Path, render) -> None:
    seen: list[tuple[int, int]] = []
    write_shard_set(
        tmp_path / "s", {}, 50, 20, render, workers=0, progress=lambda done, total: seen.append((done, total))
    )
    assert seen[-1] == (50, 50) and [done for done, _ in seen] == sorted({done for done, _ in seen})


IMAGE_BYTES = 3 * 16 * 16
"""Of an image of `render`."""


@pytest.fixture
def pool_of_two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A set, with a pool that has room for the images of two batches of 10: what writes shard k of 20 samples."""
    monkeypatch.setattr(encoder_pool, "PENDING_BYTES", 20 * IMAGE_BYTES)
    files, plan = open_writable(tmp_path / "s"), plan_set({}, 80, 20, 1, "png", None)
    files.make_folder()
    with files.part(0, 1) as lock, EncoderPool(1, encoding_of(plan)) as pool:
        begin_set(files, plan, lock)

        def write(number: int, render) -> None:
            write_shards(files, plan, lock, pool, missing_shards(files, plan, [number]), render, batch_size=10)

        write.pool = pool
        yield write


def test_writers_that_share_a_pool_share_its_room(pool_of_two, render, monkeypatch: pytest.MonkeyPatch) -> None:
    room, held = pool_of_two.pool.pending, []
    real = encoder_pool._EncoderProcess.call

    def slow(*arguments):
        time.sleep(0.02)
        held.append(room.size - room.free)
        return real(*arguments)

    monkeypatch.setattr(encoder_pool._EncoderProcess, "call", slow)
    threads = [threading.Thread(target=pool_of_two, args=(number, render)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(held) == 8 and room.free == room.size
    assert 10 * IMAGE_BYTES <= max(held) <= 20 * IMAGE_BYTES


def test_a_writer_that_fails_gives_its_room_back(pool_of_two, render, monkeypatch: pytest.MonkeyPatch) -> None:
    """And nobody waits for room that it would have given."""

    def full(self, data: bytes) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(publish.TemporaryFile, "write", full)
        with pytest.raises(DataError, match="No space left"):
            pool_of_two(0, lambda indices: time.sleep(0.02) or render(indices))
    assert pool_of_two.pool.pending.free == 20 * IMAGE_BYTES
    pool_of_two(0, render)

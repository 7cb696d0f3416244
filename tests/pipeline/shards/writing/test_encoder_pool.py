"""Encoder processes: quick to start, and gone with their parent."""

import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from synthcl.pipeline.errors import DataError
from synthcl.pipeline.shards import write_shard_set
from synthcl.pipeline.shards.writing import encoder_pool


def test_an_encoder_process_that_dies_ends_the_call(tmp_path: Path, render, monkeypatch: pytest.MonkeyPatch) -> None:
    started = []
    real = encoder_pool._EncoderProcess
    monkeypatch.setattr(encoder_pool, "_EncoderProcess", lambda: started.append(real()) or started[-1])

    def kill(indices: np.ndarray) -> np.ndarray:
        if indices[0] == 20:
            for encoder in started:
                encoder.process.kill()
                encoder.process.wait()
        return render(indices)

    with pytest.raises(DataError, match="an encoder process ended early"):
        write_shard_set(tmp_path / "s", {}, 100, 20, kill, workers=1)


def test_writing_does_not_import_torch() -> None:
    modules = "synthcl.pipeline.shards.writing.set_writer, synthcl.pipeline.shards.writing.encoder_pool"
    code = f"import sys, {modules}; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def alive(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    try:
        return stat.read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_encoder_processes_end_with_their_parent(tmp_path: Path) -> None:
    script = Path(__file__).parents[1] / "write_slowly.py"
    process = subprocess.Popen([sys.executable, script, tmp_path / "set", "64", "1", "0.5", "2"])
    children: list[int] = []
    deadline = time.monotonic() + 20
    listing = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    while len(children) < 2 and time.monotonic() < deadline:
        time.sleep(0.02)
        children = [int(pid) for pid in listing.read_text().split()] if listing.exists() else []
    process.kill()
    process.wait()
    if not children:
        pytest.skip("this system does not list a process's children")
    while any(alive(pid) for pid in children) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not any(alive(pid) for pid in children)


def test_room_is_waited_for() -> None:
    room, taken = encoder_pool.Room(100), []

    def take() -> None:
        for amount in (60, 500, 10):  # what is larger than all of it takes all of it
            room.take(amount)
            taken.append(amount)

    thread = threading.Thread(target=take)
    room.take(50)
    thread.start()
    for amounts, given in (([], 50), ([60], 60), ([60, 500], 500)):
        deadline = time.monotonic() + 20
        while len(taken) < len(amounts) and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(0.05)  # for more than it may take
        assert taken == amounts
        room.give(given)
    thread.join(20)
    assert taken == [60, 500, 10]

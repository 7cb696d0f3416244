"""Writing shards beside generation."""

import threading
from pathlib import Path

import numpy as np
import pytest

from synthcl.pipeline.shards import publish, write_shard_set


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

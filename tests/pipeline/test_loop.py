"""The loop: resumed = uninterrupted, stops on NaN and on signals, saves what it says."""

import os
import signal

import pytest
import torch

from synthcl.pipeline.checkpoint import list_checkpoints
from synthcl.pipeline.loop import Diverged, Interrupted, LoopOptions, run_loop
from synthcl.pipeline.run import RunFolder


class Walk:
    """A part whose state depends on all the steps before."""

    def __init__(self):
        self.x = torch.zeros(2, dtype=torch.float64)

    def step(self, index):
        self.x = (self.x + index).sin()
        return {"loss": self.x.sum(), "index": torch.tensor(index)}

    def state_dict(self):
        return {"x": self.x}

    def load_state_dict(self, state):
        self.x = state["x"]


def loop(path, walk, total, step=None, **options):
    path.mkdir(exist_ok=True)
    every = options.pop("every", None)
    settings = LoopOptions(
        label="test",
        total_steps=total,
        images_per_step=1,
        log_every=2,
        checkpoint_every=4,
        keep=2,
        device=torch.device("cpu"),
        **options,
    )
    return run_loop(RunFolder(path), {"walk": walk}, step or walk.step, settings, every=every)


def test_interrupted_anywhere_it_ends_the_same(tmp_path):
    whole = Walk()
    loop(tmp_path / "whole", whole, 11)
    for crash in range(11):
        walk, path = Walk(), tmp_path / f"crash{crash}"

        def crashing(index, walk=walk, crash=crash):
            if index == crash:
                raise OSError("power cut")
            return walk.step(index)

        with pytest.raises(OSError, match="power cut"):
            loop(path, walk, 11, crashing)
        resumed = Walk()
        loop(path, resumed, 11)
        assert torch.equal(resumed.x, whole.x)
        assert (path / "metrics.jsonl").read_bytes() == (tmp_path / "whole" / "metrics.jsonl").read_bytes()


def test_a_longer_run_continues_a_finished_one(tmp_path):
    whole, walk = Walk(), Walk()
    loop(tmp_path / "whole", whole, 12)
    loop(tmp_path / "parts", walk, 8)
    longer = Walk()
    loop(tmp_path / "parts", longer, 12)
    assert torch.equal(longer.x, whole.x)


@pytest.mark.parametrize("bad", [3, 4, 5, 6])
def test_nan_stops_within_a_step_and_is_not_saved(tmp_path, bad):
    walk = Walk()
    seen = []

    def step(index):
        seen.append(index)
        metrics = walk.step(index)
        return metrics | {"loss": torch.tensor(float("nan"))} if index >= bad else metrics

    with pytest.raises(Diverged, match=f"loss is nan at step {bad + 1}; .*checkpoint is"):
        loop(tmp_path, walk, 20, step)
    assert seen[-1] <= bad + 1
    saved = [int(p.name.split("-")[1]) for p in list_checkpoints(tmp_path / "checkpoints")]
    assert all(step <= bad for step in saved)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_finishes_the_step_saves_and_says_how_to_continue(tmp_path, number):
    whole, walk = Walk(), Walk()
    loop(tmp_path / "whole", whole, 9)
    before = signal.getsignal(number)

    def step(index):
        if index == 5:
            os.kill(os.getpid(), number)
        return walk.step(index)

    with pytest.raises(Interrupted, match=r"after step 6 of 9.*same command again"):
        loop(tmp_path / "r", walk, 9, step)
    assert signal.getsignal(number) is before
    resumed = Walk()
    loop(tmp_path / "r", resumed, 9)
    assert torch.equal(resumed.x, whole.x)


def test_periodic_actions_come_at_their_steps_and_at_the_end(tmp_path):
    done = []
    loop(tmp_path, Walk(), 10, every={4: done.append})
    assert done == [4, 8, 10]

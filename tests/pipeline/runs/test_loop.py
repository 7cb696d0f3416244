"""The loop: resumed = uninterrupted, stops on NaN and on signals, saves what it says."""

import os
import signal
import subprocess
import sys

import pytest
import torch

from synthcl.pipeline.runs.checkpoint_files import list_checkpoints
from synthcl.pipeline.runs.folder import RunFolder
from synthcl.pipeline.runs.loop import Diverged, Interrupted, LoopOptions, Measurement, run_loop


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
    given = {name: options.pop(name) for name in ("every", "journals", "row_logs", "measurements") if name in options}
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
    return run_loop(RunFolder(path), {"walk": walk}, step or walk.step, settings, **given)


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


def test_weights_that_overflow_in_a_step_with_finite_losses_are_not_saved(tmp_path):
    walk = Walk()

    def step(index):
        metrics = walk.step(index)
        if index == 6:
            walk.x = torch.tensor([1.0, float("inf")], dtype=torch.float64)
        return metrics if index <= 6 else {"loss": torch.tensor(1.0), "index": torch.tensor(index)}

    with pytest.raises(Diverged, match=r"state of the walk is not finite at step 8; .*step-00000004"):
        loop(tmp_path, walk, 20, step)
    assert [p.name for p in list_checkpoints(tmp_path / "checkpoints")] == ["step-00000004"]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 1), (signal.SIGTERM, 75), (signal.SIGUSR1, 75)])
def test_a_signal_finishes_the_step_saves_and_says_how_to_continue(tmp_path, number, code):
    whole, walk = Walk(), Walk()
    loop(tmp_path / "whole", whole, 9)
    before = signal.getsignal(number)

    def step(index):
        if index == 5:
            os.kill(os.getpid(), number)
            if number == signal.SIGUSR1:
                os.kill(os.getpid(), number)  # a scheduler may send it twice
        return walk.step(index)

    words = rf"stopped by {signal.Signals(number).name} after step 6 of 9.*same command again"
    with pytest.raises(Interrupted, match=words) as stopped:
        loop(tmp_path / "r", walk, 9, step)
    assert stopped.value.exit_code == code and signal.getsignal(number) is before
    assert list_checkpoints(tmp_path / "r" / "checkpoints")[-1].name == "step-00000006"
    resumed = Walk()
    loop(tmp_path / "r", resumed, 9)
    assert torch.equal(resumed.x, whole.x)


TWO_SIGNALS = """
import os, signal, sys
from pathlib import Path
import torch
from synthcl.pipeline.runs.loop import LoopOptions, run_loop
from synthcl.pipeline.runs.folder import RunFolder

def step(index):
    if index == 2:
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGINT)
        print("still here")
    return {"loss": torch.tensor(0.0)}

options = LoopOptions(label="test", total_steps=4, images_per_step=1, log_every=1, checkpoint_every=4, keep=1,
                      device=torch.device("cpu"))
run_loop(RunFolder(Path(sys.argv[1])), {}, step, options)
"""


@pytest.mark.parametrize("launched", [False, True])
def test_a_second_signal_ends_at_once_but_not_a_launchers_echo_of_the_first(tmp_path, launched):
    environment = {**os.environ, **({"TORCHELASTIC_RUN_ID": "none"} if launched else {})}
    command = [sys.executable, "-c", TWO_SIGNALS, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    saved = [p.name for p in list_checkpoints(tmp_path / "checkpoints")]
    if launched:
        assert done.returncode == 1 and "stopped by SIGTERM after step 3 of 4" in done.stderr
        assert done.stdout == "still here\n" and saved == ["step-00000003"]
    else:
        assert done.returncode == -signal.SIGINT and done.stdout == "" and saved == []


def test_a_worker_that_its_launcher_has_left_behind_saves_and_stops(tmp_path, monkeypatch):
    """torchrun passes on SIGTERM, and dies of SIGUSR1 itself."""
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "none")
    walk, launcher = Walk(), os.getppid()

    def step(index):
        if index == 5:
            monkeypatch.setattr("synthcl.pipeline.runs.loop.os.getppid", lambda: launcher + 1)
        return walk.step(index)

    words = r"stopped by the end of its launcher after step 6 of 9, saved in .*same command again"
    with pytest.raises(Interrupted, match=words) as stopped:
        loop(tmp_path, walk, 9, step)
    assert stopped.value.exit_code == 75
    assert list_checkpoints(tmp_path / "checkpoints")[-1].name == "step-00000006"


def test_without_a_launcher_the_parent_may_end(tmp_path, monkeypatch):
    monkeypatch.delenv("TORCHELASTIC_RUN_ID", raising=False)
    parents = iter(range(100, 200))  # as of a command that went on with `nohup`
    monkeypatch.setattr("synthcl.pipeline.runs.loop.os.getppid", lambda: next(parents))
    loop(tmp_path, Walk(), 4)
    assert list_checkpoints(tmp_path / "checkpoints")[-1].name == "step-00000004"


def test_what_a_kill_between_a_checkpoint_and_a_periodic_action_would_take_is_done_before(tmp_path):
    seen = []
    loop(tmp_path, Walk(), 4, every={4: lambda done: seen.extend(list_checkpoints(tmp_path / "checkpoints"))})
    assert seen == []


class AheadOfCheckpoints:
    """A journal that notes its commits, and which checkpoints there were at each."""

    def __init__(self, run):
        self.run, self.commits = RunFolder(run), []

    def rewind(self, steps):
        pass

    def commit(self, steps):
        self.commits.append((steps, [path.name for path in list_checkpoints(self.run.checkpoints)]))


def test_journals_are_on_disk_before_the_checkpoint_that_counts_on_them(tmp_path):
    journal = AheadOfCheckpoints(tmp_path)
    loop(tmp_path, Walk(), 8, journals=[journal])
    assert journal.commits == [(4, []), (8, ["step-00000004"])]


def test_periodic_actions_come_at_their_steps_and_at_the_end(tmp_path):
    done = []
    loop(tmp_path, Walk(), 10, every={4: done.append})
    assert done == [4, 8, 10]


class RowList:
    """What a tracker is to the loop, in a list that outlives it."""

    def __init__(self, rows):
        self.rows = rows

    def rewind(self, steps):
        self.rows[:] = [row for row in self.rows if row["step"] <= steps]

    def append(self, row):
        self.rows.append(row)

    def commit(self, steps):
        assert not self.rows or self.rows[-1]["step"] <= steps


def test_measurements_join_their_steps_without_gaps_or_doubles_over_crashes(tmp_path):
    def measured(walk):
        return Measurement(3, lambda: {"half": walk.x[0].item() / 2})

    whole, rows = Walk(), []
    loop(tmp_path / "whole", whole, 11, row_logs=[RowList(rows)], measurements=[measured(whole)])
    assert [row["step"] for row in rows] == [2, 3, 4, 6, 8, 9, 10, 11]
    assert [row["step"] for row in rows if "half" in row] == [3, 6, 9, 11] and all("loss" in row for row in rows)
    written = (tmp_path / "whole" / "metrics.jsonl").read_bytes()
    for crash in (2, 3, 7, 9):
        walk, path, again = Walk(), tmp_path / f"crash{crash}", []

        def crashing(index, walk=walk, crash=crash):
            if index == crash:
                raise OSError("power cut")
            return walk.step(index)

        with pytest.raises(OSError, match="power cut"):
            loop(path, walk, 11, crashing, row_logs=[RowList(again)], measurements=[measured(walk)])
        resumed = Walk()
        loop(path, resumed, 11, row_logs=[RowList(again)], measurements=[measured(resumed)])
        assert again == rows and (path / "metrics.jsonl").read_bytes() == written


def test_a_measurement_begins_before_the_first_step_and_not_when_a_run_goes_on(tmp_path):
    seen = []

    def begin(walk, about):
        return Measurement(2, dict, begin=lambda: seen.append((about, walk.x[0].item())))

    walk = Walk()
    first = walk.x[0].item()

    def crashing(index):
        if index == 7:
            raise OSError("power cut")
        return walk.step(index)

    with pytest.raises(OSError, match="power cut"):
        loop(tmp_path, walk, 11, crashing, measurements=[begin(walk, "anew")])
    resumed = Walk()
    loop(tmp_path, resumed, 11, measurements=[begin(resumed, "resumed")])
    assert seen == [("anew", first)]


def test_other_processes_measure_but_write_nothing(tmp_path):
    taken, rows = [], []
    measurement = Measurement(2, lambda: {"seen": float(len(taken) or taken.append(1) or 0)})
    loop(tmp_path, Walk(), 4, main_process=False, measurements=[measurement], row_logs=[RowList(rows)])
    assert taken and not rows and not (tmp_path / "metrics.jsonl").exists()


def test_the_time_of_measurements_does_not_count(tmp_path, monkeypatch):
    now = [0.0]
    monkeypatch.setattr("synthcl.pipeline.runs.loop.time.monotonic", lambda: now[0])

    def step(index):
        now[0] += 1
        return {"loss": torch.tensor(0.0)}

    def slow():
        now[0] += 100
        return {}

    assert loop(tmp_path, Walk(), 6, step, measurements=[Measurement(2, slow)]) == 6

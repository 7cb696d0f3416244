"""One training in a folder, and one checkpoint for all of its processes."""

import errno
import fcntl
import os
import signal

import pytest
import torch

from synthcl.pipeline.configs.train import TrainConfig
from synthcl.pipeline.errors import DataError
from synthcl.pipeline.runs import together
from synthcl.pipeline.runs.folder import RunFolder
from synthcl.pipeline.runs.loop import Interrupted, LoopOptions, run_loop
from synthcl.pipeline.runs.together import FolderLock, check_agreement, hold_run


def options(**given):
    return LoopOptions(
        label="test", total_steps=4, images_per_step=1, log_every=1, checkpoint_every=2, keep=2,
        device=torch.device("cpu"), **given,
    )  # fmt: skip


def hold(path, steps=4, **given):
    return hold_run(path, "train", TrainConfig(data="digits", out=str(path), steps=steps), steps=steps, **given)


def content(path):
    return {each.name: each.read_bytes() for each in path.iterdir() if each.is_file()}


def test_a_second_run_in_a_folder_is_refused_before_it_changes_anything_and_the_lock_leaves_nothing(tmp_path):
    with hold(tmp_path / "r") as run:
        run.finish({"steps": 2})
        (run.path / ".tmp-x").touch()
        before = content(run.path)
        with pytest.raises(DataError, match=f"another process is training in {run.path}; wait for it"):
            hold(run.path, steps=12).__enter__()
        assert content(run.path) == before
        (run.path / "result.json").unlink()
    with hold(run.path, steps=12):  # it is free again
        assert sorted(content(run.path)) == ["config.yaml", "run.json"]


def test_a_folder_that_holds_something_else_is_not_touched(tmp_path):
    (tmp_path / "notes.txt").touch()
    with pytest.raises(DataError, match="holds no run of synthcl"):
        hold(tmp_path).__enter__()
    with pytest.raises(DataError, match=r"cannot write to --out .*/notes.txt/r: Not a directory"):
        hold(tmp_path / "notes.txt" / "r").__enter__()
    assert list(tmp_path.iterdir()) == [tmp_path / "notes.txt"]


def test_other_processes_of_the_run_take_no_lock(tmp_path):
    with FolderLock(tmp_path), FolderLock(tmp_path, taken=False):
        pass


def test_a_lock_is_let_go_though_a_forked_process_has_it_too(tmp_path):
    with FolderLock(tmp_path) as lock:
        copy = os.dup(lock._descriptor)  # what a fork does
    try:
        with FolderLock(tmp_path):
            pass
    finally:
        os.close(copy)


def test_a_file_system_without_locks_is_told(tmp_path, monkeypatch, caplog):
    def refuse(*_):
        raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with FolderLock(tmp_path):
        assert f"{tmp_path} cannot be locked" in caplog.text


ANSWERS = {
    "agreed": ([("step 4 (ab)", None)] * 3, None),
    "none yet": ([("no checkpoint", None)] * 2, None),
    "another step": (
        [("step 4 (ab)", None), ("step 4 (ab)", None), ("step 2 (cd)", None)],
        r"process 0 step 4 \(ab\), process 2 step 2 \(cd\); give --out a folder on a disk that all machines share",
    ),
    "another content": ([("step 4 (ab)", None), ("step 4 (xy)", None)], r"process 1 step 4 \(xy\)"),
    "a disk of its own": ([("step 4 (ab)", None), ("no checkpoint", None)], "process 1 no checkpoint"),
    "a problem elsewhere": ([("step 4 (ab)", None), ("no checkpoint", "nothing is whole")], "nothing is whole"),
    "a problem here": ([("no checkpoint", "none is whole"), ("no checkpoint", "another")], "none is whole"),
}


@pytest.mark.parametrize(("answers", "message"), ANSWERS.values(), ids=ANSWERS.keys())
def test_what_processes_have_found(tmp_path, monkeypatch, answers, message):
    found, problem = answers[0]

    def gather(into, own):
        column = int(own == found)
        assert own == answers[0][1 - column]
        into[:] = [answer[1 - column] for answer in answers]

    monkeypatch.setattr(together, "is_distributed", lambda: True)
    monkeypatch.setattr(together.dist, "get_world_size", lambda: len(answers))
    monkeypatch.setattr(together.dist, "all_gather_object", gather)
    own = None if problem is None else DataError(problem)
    if message is None:
        check_agreement(found, own, tmp_path)
    else:
        with pytest.raises(DataError, match=message):
            check_agreement(found, own, tmp_path)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGUSR1, 75), (signal.SIGTERM, 75), (signal.SIGINT, 1)])
def test_signals_save_and_have_their_exit_codes(tmp_path, number, code):
    def step(index):
        if index == 2:
            os.kill(os.getpid(), number)
            if number == signal.SIGUSR1:
                os.kill(os.getpid(), number)  # a scheduler may send it twice
        return {"loss": torch.zeros(())}

    before = signal.getsignal(number)
    with pytest.raises(Interrupted, match=f"stopped by {signal.Signals(number).name} after step 3 of 4") as stopped:
        run_loop(RunFolder(tmp_path), {}, step, options())
    assert stopped.value.exit_code == code and signal.getsignal(number) is before
    assert [path.name for path in sorted((tmp_path / "checkpoints").iterdir())] == ["step-00000002", "step-00000003"]

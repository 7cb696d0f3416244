"""One training in a folder, and one checkpoint for all of its processes."""

import errno
import fcntl
import os
import signal

import pytest
import torch

from synthcl.pipeline.errors import DataError
from synthcl.pipeline.runs import together
from synthcl.pipeline.runs.folder import RunFolder
from synthcl.pipeline.runs.loop import Interrupted, LoopOptions, run_loop
from synthcl.pipeline.runs.together import FolderLock, check_agreement


def options(**given):
    return LoopOptions(
        label="test", total_steps=4, images_per_step=1, log_every=1, checkpoint_every=2, keep=2,
        device=torch.device("cpu"), **given,
    )  # fmt: skip


def test_a_second_training_in_a_folder_is_refused_and_the_lock_leaves_nothing(tmp_path):
    def step(index):
        with pytest.raises(DataError, match=f"another process is training in {tmp_path}; wait for it"):
            run_loop(RunFolder(tmp_path), {}, lambda _: {"loss": torch.zeros(())}, options())
        return {"loss": torch.zeros(())}

    run_loop(RunFolder(tmp_path), {}, step, options())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoints", "metrics.jsonl"]
    run_loop(RunFolder(tmp_path), {}, step, options())  # it is free again


def test_other_processes_of_the_run_take_no_lock(tmp_path):
    with FolderLock(tmp_path), FolderLock(tmp_path, taken=False) as other:
        assert other.problem is None


def test_a_file_system_without_locks_is_told(tmp_path, monkeypatch, caplog):
    def refuse(*_):
        raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with FolderLock(tmp_path) as lock:
        assert lock.problem is None
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
}


@pytest.mark.parametrize(("answers", "message"), ANSWERS.values(), ids=ANSWERS.keys())
def test_what_processes_have_found(tmp_path, monkeypatch, answers, message):
    def gather(into, own):
        assert own == answers[0]
        into[:] = answers

    monkeypatch.setattr(together, "is_distributed", lambda: True)
    monkeypatch.setattr(together.dist, "get_world_size", lambda: len(answers))
    monkeypatch.setattr(together.dist, "all_gather_object", gather)
    if message is None:
        check_agreement(*answers[0], tmp_path)
    else:
        with pytest.raises(DataError, match=message):
            check_agreement(*answers[0], tmp_path)


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

"""The lock of a run's folder: taken, let go, and told where there can be none."""

import errno
import fcntl
import os

from synthcl.pipeline.runs.lock import FolderLock


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

"""Processes that encode beside the one that generates.

Processes and not threads: Python code in a thread would take the interpreter from the generator's thread again and
again. Not `multiprocessing` either: its children outlive a parent that is killed, and re-import the user's script.
These are plain children on a pipe, which import no torch and start in a fraction of a second.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import queue
import subprocess
import sys
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType

import numpy as np

from ..images.encoding import Encoding
from .tar_chunk import TarChunk, encode_chunk


class EncoderPool:
    """Encodes chunks of samples in `workers` processes; with 0 in the calling thread.

    Use as a context manager; leaving it ends the processes.
    """

    def __init__(self, workers: int, encoding: Encoding) -> None:
        self.workers, self.encoding = workers, encoding
        self._idle: queue.SimpleQueue[_EncoderProcess] = queue.SimpleQueue()
        self._processes: list[_EncoderProcess] = []
        self._threads = ThreadPoolExecutor(max(1, workers), thread_name_prefix="encode")

    def __enter__(self) -> EncoderPool:
        for _ in range(self.workers):
            process = _EncoderProcess()
            self._processes.append(process)
            self._idle.put(process)
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self._threads.shutdown(cancel_futures=True)
        for process in self._processes:
            process.hang_up()
        for process in self._processes:
            process.wait()

    def submit(self, first_index: int, images: np.ndarray) -> Future[TarChunk]:
        """The chunk of samples `first_index`, ... with images (n, V, 3, H, W) uint8, as soon as it is there."""
        if self.workers:
            return self._threads.submit(self._call, first_index, images)
        done: Future[TarChunk] = Future()
        done.set_result(encode_chunk(first_index, images, self.encoding))
        return done

    def _call(self, first_index: int, images: np.ndarray) -> TarChunk:
        process = self._idle.get()
        try:
            return process.call(first_index, images, self.encoding)
        finally:
            self._idle.put(process)


class _EncoderProcess:
    """One child: calls go to its stdin, answers come from its stdout."""

    def __init__(self) -> None:
        paths = [path for path in sys.path if path]
        # A session of its own keeps Ctrl-C from it: the parent decides what becomes of the work.
        self.process = subprocess.Popen(
            [sys.executable, "-m", f"{__package__}.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"},
            start_new_session=True,
        )
        assert self.process.stdin is not None and self.process.stdout is not None, "both are pipes"
        self.requests, self.answers = self.process.stdin, self.process.stdout

    def call(self, first_index: int, images: np.ndarray, encoding: Encoding) -> TarChunk:
        """`encode_chunk` there.

        Raises:
            OSError: the process has ended.
        """
        try:
            pickle.dump((first_index, images, encoding), self.requests, protocol=5)
            self.requests.flush()
            answer = pickle.load(self.answers)
        except (EOFError, OSError, pickle.UnpicklingError) as error:
            raise OSError(f"an encoder process ended early (exit code {self.process.poll()})") from error
        if isinstance(answer, Exception):
            raise answer
        return answer

    def hang_up(self) -> None:
        """Tell it to end; one that has ended already may have left bytes that nobody reads."""
        with contextlib.suppress(BrokenPipeError):
            self.requests.close()

    def wait(self) -> None:
        self.process.wait()
        self.answers.close()


def default_workers() -> int:
    """Encoder processes for this process: its share of the cores, less the one that generates."""
    from ..capacity import available_cores

    return max(1, available_cores() - 1)

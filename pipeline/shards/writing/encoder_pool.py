"""Encoder processes: they encode samples beside the process that generates them.

They are processes and not threads, since Python code in a thread would take the interpreter from the generator's thread
again and again. They do not come from `multiprocessing`, whose children outlive a parent that is killed, and import the
user's script again. Each is a child `python -m synthcl.pipeline.shards.writing.encoder_pool` on two pipes, which
imports no torch, starts in a fraction of a second, and ends when its parent ends, however that ends.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import queue
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import BinaryIO

import numpy as np

from ...images.encoding import Encoding
from ...runtime.capacity import available_cores
from .tar_chunk import TarChunk, encode_chunk

PENDING_BYTES = 1 << 28
"""The most bytes of images that wait to be encoded and written, of all writers that share a pool. Ours: enough that the
generator need not wait for the disk."""


class EncoderPool:
    """Encodes chunks of samples in `workers` processes, or, with 0, in the calling thread.

    Use it as a context manager; leaving the context ends the processes.

    Attributes:
        pending: room for images that wait to be encoded and written. Who submits images takes it, and gives it back.
    """

    def __init__(self, workers: int, encoding: Encoding) -> None:
        self.workers, self.encoding, self.pending = workers, encoding, Room(PENDING_BYTES)
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

    def submit(
        self, first_index: int, images: np.ndarray, labels: Mapping[str, Sequence[bytes]] | None = None
    ) -> Future[TarChunk]:
        """Encode the samples `first_index`, ...; see `encode_chunk`. Returns at once."""
        if self.workers:
            return self._threads.submit(self._call, first_index, images, labels)
        done: Future[TarChunk] = Future()
        done.set_result(encode_chunk(first_index, images, self.encoding, labels))
        return done

    def _call(self, first_index: int, images: np.ndarray, labels: Mapping[str, Sequence[bytes]] | None) -> TarChunk:
        process = self._idle.get()
        try:
            return process.call(first_index, images, self.encoding, labels)
        finally:
            self._idle.put(process)


class Room:
    """Room for so many bytes, of which threads take some, and wait while there is not enough.

    What is larger than all of it takes all of it.

    Attributes:
        free: bytes that nobody has taken, of `size`.
    """

    def __init__(self, size: int) -> None:
        self.free, self.size = size, size
        self._changed = threading.Condition()

    def take(self, amount: int) -> None:
        amount = min(amount, self.size)
        with self._changed:
            self._changed.wait_for(lambda: self.free >= amount)
            self.free -= amount

    def give(self, amount: int) -> None:
        """Give back what was taken."""
        with self._changed:
            self.free += min(amount, self.size)
            self._changed.notify_all()


class _EncoderProcess:
    """One encoder process, as its parent sees it: calls go to its stdin, answers come from its stdout."""

    def __init__(self) -> None:
        paths = [path for path in sys.path if path]
        # In a session of its own it does not see Ctrl-C: the parent decides what becomes of the work.
        self.process = subprocess.Popen(
            [sys.executable, "-m", f"{__package__}.encoder_pool"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"},
            start_new_session=True,
        )
        assert self.process.stdin is not None and self.process.stdout is not None, "both are pipes"
        self.requests, self.answers = self.process.stdin, self.process.stdout

    def call(
        self,
        first_index: int,
        images: np.ndarray,
        encoding: Encoding,
        labels: Mapping[str, Sequence[bytes]] | None = None,
    ) -> TarChunk:
        """Have the process call `encode_chunk`.

        Raises:
            OSError: the process has ended.
        """
        try:
            pickle.dump((first_index, images, encoding, labels), self.requests, protocol=5)
            self.requests.flush()
            answer = pickle.load(self.answers)
        except (EOFError, OSError, pickle.UnpicklingError) as error:
            raise OSError(f"an encoder process ended early (exit code {self.process.poll()})") from error
        if isinstance(answer, Exception):
            raise answer
        return answer

    def hang_up(self) -> None:
        """Tell the process to end. If it has ended already, the pipe may hold bytes that nobody reads."""
        with contextlib.suppress(BrokenPipeError):
            self.requests.close()

    def wait(self) -> None:
        """Wait until the process has ended."""
        self.process.wait()
        self.answers.close()


def default_workers() -> int:
    """How many encoder processes this process starts: its share of the cores, less one core for the generator."""
    return max(1, available_cores() - 1)


def serve(requests: BinaryIO, results: BinaryIO) -> None:
    """Answer calls until there are no more: what an encoder process does. An exception is an answer, too."""
    while True:
        try:
            arguments = pickle.load(requests)
        except (EOFError, pickle.UnpicklingError):
            return  # the parent has ended, or its end cut a call short
        try:
            answer: object = encode_chunk(*arguments)
        except Exception as error:
            answer = error
        pickle.dump(answer, results, protocol=5)
        results.flush()


if __name__ == "__main__":
    stdout = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    sys.stdout = sys.stderr  # so that what a library prints does not get between the answers
    try:
        serve(sys.stdin.buffer, stdout)
    except BrokenPipeError:
        os._exit(1)

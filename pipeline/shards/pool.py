"""Processes that encode beside the one that generates.

Processes and not threads: Python code in a thread would take the interpreter from the generator's thread again and
again. Not `multiprocessing` either: its children outlive a parent that is killed, and re-import the user's script.
These are plain children on a pipe, which import no torch and start in a fraction of a second.
"""

from __future__ import annotations

import os
import pickle
import queue
import subprocess
import sys
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType

import numpy as np

from .encode import Chunk, Encoding, encode_chunk


class EncoderPool:
    """Encodes chunks of samples in `workers` processes; with 0 in the calling thread.

    Use as a context manager; leaving it ends the processes.
    """

    def __init__(self, workers: int, encoding: Encoding) -> None:
        self.workers, self.encoding = workers, encoding
        self._idle: queue.SimpleQueue[subprocess.Popen[bytes]] = queue.SimpleQueue()
        self._processes: list[subprocess.Popen[bytes]] = []
        self._threads = ThreadPoolExecutor(max(1, workers), thread_name_prefix="encode")

    def __enter__(self) -> EncoderPool:
        for _ in range(self.workers):
            process = _start()
            self._processes.append(process)
            self._idle.put(process)
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self._threads.shutdown(cancel_futures=True)
        for process in self._processes:
            process.stdin.close()
        for process in self._processes:
            process.wait()
            process.stdout.close()

    def submit(self, first_index: int, images: np.ndarray) -> Future[Chunk]:
        """The chunk of samples `first_index`, ... with images (n, V, 3, H, W) uint8, as soon as it is there."""
        if self.workers:
            return self._threads.submit(self._call, first_index, images)
        done: Future[Chunk] = Future()
        done.set_result(encode_chunk(first_index, images, self.encoding))
        return done

    def _call(self, first_index: int, images: np.ndarray) -> Chunk:
        process = self._idle.get()
        try:
            pickle.dump((first_index, images, self.encoding), process.stdin, protocol=5)
            process.stdin.flush()
            answer = pickle.load(process.stdout)
        except (EOFError, OSError) as error:
            raise OSError(f"an encoder process ended early (exit code {process.poll()})") from error
        finally:
            self._idle.put(process)
        if isinstance(answer, Exception):
            raise answer
        return answer


def _start() -> subprocess.Popen[bytes]:
    # A session of its own keeps Ctrl-C from it: the parent decides what becomes of the work.
    paths = [path for path in sys.path if path]
    return subprocess.Popen(
        [sys.executable, "-m", f"{__package__}.worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"},
        start_new_session=True,
    )


def default_workers() -> int:
    """Encoder processes for this process: its share of the cores, less the one that generates."""
    from ..data.decode import available_cores

    return max(1, available_cores() - 1)

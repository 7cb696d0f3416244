"""An encoder process: `python -m synthcl.pipeline.shards.worker`, started and spoken to by pool.py alone.

It reads pickled calls from its parent on stdin and writes results to stdout, until stdin ends: so it ends with its
parent, however that ends.
"""

from __future__ import annotations

import os
import pickle
import sys
from typing import BinaryIO

from .tar_chunk import encode_chunk


def serve(requests: BinaryIO, results: BinaryIO) -> None:
    """Answer calls of `encode_chunk` until there are no more; an exception is an answer too."""
    while True:
        try:
            arguments = pickle.load(requests)
        except (EOFError, pickle.UnpicklingError):
            return  # the parent has ended, perhaps in the middle of a call
        try:
            answer: object = encode_chunk(*arguments)
        except Exception as error:
            answer = error
        pickle.dump(answer, results, protocol=5)
        results.flush()


if __name__ == "__main__":
    stdout = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    sys.stdout = sys.stderr  # what a library prints must not get between the answers
    try:
        serve(sys.stdin.buffer, stdout)
    except BrokenPipeError:
        os._exit(1)

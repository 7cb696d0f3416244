"""Freed memory stays with the process."""

import os
import platform
import resource
import subprocess
import sys

import pytest
import torch

from synthcl.pipeline.runtime.allocator import keep_freed_memory

NUM_TENSORS, NUMBERS = 8, 4 * 2**20
PAGES = NUM_TENSORS * NUMBERS * 4 // resource.getpagesize()


def faults_of_a_step() -> int:
    """Page faults of allocating and filling eight tensors of 16 MiB, and freeing them together, as after a step."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    kept = [torch.empty(NUMBERS).fill_(1) for _ in range(NUM_TENSORS)]
    faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
    del kept
    return faults


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="a setting of glibc's malloc")
def test_freed_tensors_are_used_again_without_asking_the_kernel():
    # In a process of its own: what other tests have left on the heap may stand in the way of its growth. With two
    # threads; with one glibc may come to keep the memory by itself.
    environment = {**os.environ, "OMP_NUM_THREADS": "2"}
    done = subprocess.run([sys.executable, __file__], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    # Given back and asked for anew, it would be all the pages; the heap takes a few steps to reach its size.
    assert int(done.stdout) < PAGES / 100


def test_elsewhere_nothing_is_touched(monkeypatch):
    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    assert not keep_freed_memory()


if __name__ == "__main__":
    assert keep_freed_memory()
    print(min(faults_of_a_step() for _ in range(6)))

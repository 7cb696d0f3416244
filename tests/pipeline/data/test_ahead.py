"""Reading ahead changes when images are read, and nothing else."""

import threading
import time

import pytest
import torch

from synthcl.pipeline.data.ahead import STEPS_AHEAD, Ahead, costs_to_read
from synthcl.pipeline.data.memory import MemoryStore
from synthcl.pipeline.errors import DataError

CPU = torch.device("cpu")


class Reads:
    """Steps that were read, and in which thread."""

    def __init__(self, fail=None):
        self.steps, self.threads, self.fail = [], [], fail

    def __call__(self, step):
        if step == self.fail:
            raise DataError(f"image {step} is damaged")
        self.steps.append(step)
        self.threads.append(threading.current_thread().name)
        return torch.full((2,), step)


def readers():
    return [thread for thread in threading.enumerate() if thread.name.startswith("read-ahead")]


@pytest.mark.parametrize("first", [0, 4])
def test_each_step_is_read_once_in_order_and_none_after_the_last(first):
    reads = Reads()
    ahead = Ahead(reads, CPU)
    with ahead.open(8):
        for step in range(first, 8):
            assert ahead(step).tolist() == [step, step]
    assert reads.steps == list(range(first, 8))
    assert all(name.startswith("read-ahead") for name in reads.threads) and readers() == []


def test_the_next_steps_are_read_while_nothing_asks_for_them():
    reads = Reads()
    ahead = Ahead(reads, CPU)
    with ahead.open(100):
        ahead(0)
        deadline = time.monotonic() + 60
        while len(reads.steps) <= STEPS_AHEAD and time.monotonic() < deadline:
            time.sleep(0.001)
        time.sleep(0.05)
        assert reads.steps == list(range(STEPS_AHEAD + 1))


def test_without_being_open_it_reads_where_it_is_called():
    reads = Reads()
    ahead = Ahead(reads, CPU)
    assert ahead(3).tolist() == [3, 3] and reads.steps == [3]
    assert reads.threads == [threading.current_thread().name]


def test_steps_in_any_order():
    reads = Reads()
    ahead = Ahead(reads, CPU)
    with ahead.open(20):
        assert [ahead(step)[0].item() for step in (0, 7, 7, 2, 3, 19, 25)] == [0, 7, 7, 2, 3, 19, 25]


def test_an_error_comes_with_its_step_and_no_thread_is_left():
    ahead = Ahead(Reads(fail=2), CPU)
    with pytest.raises(DataError, match="image 2 is damaged"), ahead.open(9):
        for step in range(9):
            assert ahead(step).tolist() == [step, step] and step < 2
    assert readers() == []


def test_an_error_elsewhere_ends_the_thread_though_more_was_to_be_read():
    reads = Reads()
    ahead = Ahead(reads, CPU)
    with pytest.raises(KeyboardInterrupt), ahead.open(10**9):
        ahead(0)
        raise KeyboardInterrupt
    assert readers() == [] and len(reads.steps) <= STEPS_AHEAD + 1


def test_what_is_in_memory_is_not_read_ahead():
    store = MemoryStore(torch.zeros(2, 3, 4, 4, dtype=torch.uint8), "x")
    assert not costs_to_read(store, CPU) and costs_to_read(store, torch.device("cuda"))

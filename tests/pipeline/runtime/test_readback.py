"""Numbers on their way to the host are those that the tensor had when they set out."""

import numpy as np
import pytest
import torch

from synthcl.pipeline.runtime.readback import Readback, sent


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.int64])
def test_numbers_are_plain(dtype):
    numbers = Readback(torch.tensor([1, 2, 3], dtype=dtype)).numbers()
    assert numbers == [1, 2, 3] and type(numbers[0]) is (int if dtype is torch.int64 else float)


def test_images_come_as_they_are():
    images = torch.arange(24, dtype=torch.uint8).reshape(2, 3, 2, 2)
    array = Readback(images).array()
    assert array.dtype == np.uint8 and (array == images.numpy()).all()


def test_it_keeps_no_graph():
    values = torch.ones(2, requires_grad=True) * 3
    copy = Readback(values)
    assert not copy.values.requires_grad and copy.numbers() == [3.0, 3.0]


def test_on_a_cpu_nothing_is_copied():
    numbers = torch.arange(3)
    assert sent(numbers, torch.device("cpu")) is numbers


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu_later_work_does_not_reach_them():
    values = torch.arange(4.0, device="cuda")
    copy = Readback(values + 0)
    torch.cuda._sleep(10_000_000)
    assert copy.numbers() == [0.0, 1.0, 2.0, 3.0] and copy.values.is_pinned()

"""What precisions come to on a device, and what is refused."""

import pytest
import torch

from synthcl.pipeline.errors import UsageError
from synthcl.pipeline.runtime import distributed
from synthcl.pipeline.runtime.environment import record_environment
from synthcl.pipeline.runtime.precision import generator_precision, set_backends


@pytest.fixture
def gpu(monkeypatch):
    """Says that there is a GPU, with bf16 or without."""

    def pretend(bf16):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: bf16)
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda device=None: "Old GPU")

    return pretend


@pytest.mark.parametrize(
    ("asked", "device", "bf16", "expected"),
    [
        ("auto", "cpu", False, "fp32"),
        ("auto", "cuda", True, "bf16"),
        ("auto", "cuda", False, "fp32"),
        ("fp32", "cuda", True, "fp32"),
        ("bf16", "cuda", True, "bf16"),
        ("bf16", "cpu", False, "bf16"),
        ("fp16", "cuda", False, "fp16"),
    ],
)
def test_what_it_comes_to(gpu, asked, device, bf16, expected):
    gpu(bf16)
    assert generator_precision(asked, device) == expected


@pytest.mark.parametrize(
    ("asked", "device", "trained", "message"),
    [
        ("fp16", "cpu", False, "--generator-precision fp16 needs a GPU"),
        ("fp16", "cuda", True, "fp16 is for drawing from a generator that stays as it is"),
        ("bf16", "cuda", False, "--generator-precision bf16: Old GPU does not compute in bf16; use fp32"),
    ],
)
def test_what_is_refused(gpu, asked, device, trained, message):
    gpu(False)
    with pytest.raises(UsageError, match=message):
        generator_precision(asked, device, trained=trained)


def test_the_learners_bf16_on_a_gpu_without_it(gpu):
    gpu(False)
    with pytest.raises(UsageError, match="--precision bf16: Old GPU does not compute in bf16; use fp16 or fp32"):
        distributed.create_accelerator("bf16")


@pytest.mark.parametrize("exact", [None, "0", "1"])
def test_a_gpus_float32(monkeypatch, exact):
    cudnn, products = torch.backends.cudnn, torch.backends.cuda.matmul
    before = cudnn.allow_tf32, cudnn.benchmark, cudnn.deterministic, products.allow_tf32
    if exact is not None:
        monkeypatch.setenv("SYNTHCL_EXACT", exact)
    asked = exact == "1"
    try:
        cudnn.allow_tf32, cudnn.benchmark, cudnn.deterministic, products.allow_tf32 = asked, asked, not asked, True
        set_backends()
        found = cudnn.allow_tf32, cudnn.benchmark, cudnn.deterministic, products.allow_tf32
        assert found == (not asked, not asked, asked, False)
        assert record_environment()["hardware"].get("exact", False) == asked
    finally:
        cudnn.allow_tf32, cudnn.benchmark, cudnn.deterministic, products.allow_tf32 = before


def test_another_value_of_the_variable_is_refused(monkeypatch):
    monkeypatch.setenv("SYNTHCL_EXACT", "yes")
    with pytest.raises(UsageError, match="the variable SYNTHCL_EXACT is 'yes': set it to 1 for exact float32"):
        set_backends()

"""Pictures and their files, made on the spot, and how much memory a test takes."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def picture():
    """(seed, width, height, mode) to a smooth random picture, as JPEG likes them."""

    def make(seed=0, width=16, height=None, mode="RGB"):
        coarse = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8)
        image = Image.fromarray(coarse).resize((width, height or width), Image.Resampling.BICUBIC)
        return image.convert(mode)

    return make


@pytest.fixture
def encode():
    """A picture to its file's bytes."""

    def make(image, kind="PNG", **options):
        file = io.BytesIO()
        image.save(file, kind, **options)
        return file.getvalue()

    return make


@pytest.fixture
def peak_memory() -> Callable[[], int]:
    """Tells by how many bytes the peak of this process's memory has grown since the test began.

    Not by tracemalloc: in Python 3.11 its stop() can crash a process that has native threads.
    """
    reset = Path("/proc/self/clear_refs")
    if not reset.exists():
        pytest.skip("this system does not tell a process's peak memory")

    def resident(name: str) -> int:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(name + ":")) * 1024

    reset.write_text("5")  # forget the peak so far
    before = resident("VmRSS")
    return lambda: resident("VmHWM") - before

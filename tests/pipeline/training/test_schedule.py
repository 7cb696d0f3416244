"""The learning rate of a training against its formula written out."""

import math

import pytest

from synthcl.pipeline.training.schedule import Schedule


@pytest.mark.parametrize(("warmup", "total"), [(0, 1), (0, 10), (3, 10), (10, 100)])
def test_it_rises_in_a_line_and_falls_in_half_a_cosine(warmup, total):
    rates = [Schedule(0.4, warmup, total).at(step) for step in range(total)]
    rising = [0.4 * (step + 1) / warmup for step in range(warmup)]
    falling = [0.2 * (1 + math.cos(math.pi * i / max(1, total - warmup))) for i in range(total - warmup)]
    assert rates == pytest.approx(rising + falling)
    assert max(rates) == pytest.approx(0.4)


def test_it_ends_at_zero():
    assert Schedule(1.0, 5, 50).at(50) == pytest.approx(0)

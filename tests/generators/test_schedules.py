"""What changes over pretraining: its ends, its middle, and what it is without a length or an end."""

import pytest

from synthcl.generators.schedules import final_decay, geometric, part_done


@pytest.mark.parametrize(
    ("step", "total", "part"), [(0, 10, 0.0), (5, 10, 0.5), (10, 10, 1.0), (15, 10, 1.0), (7, None, 0.0)]
)
def test_the_part_that_is_done(step, total, part):
    assert part_done(step, total) == part


@pytest.mark.parametrize(
    ("end", "part", "value"),
    [(0.005, 0.0, 0.05), (0.005, 0.5, 0.05 / 10**0.5), (0.005, 1.0, 0.005), (5.0, 0.5, 0.5), (None, 0.7, 0.05)],
)
def test_values_change_by_an_equal_factor(end, part, value):
    assert geometric(0.05, end, part) == pytest.approx(value)


@pytest.mark.parametrize(
    ("part", "decay", "factor"),
    [
        (0.3, 0.0, 1.0),
        (1.0, 0.0, 1.0),
        (0.79, 0.2, 1.0),
        (0.9, 0.2, 0.5),
        (1.0, 0.2, 0.0),
        (0.0, 1.0, 1.0),
        (0.5, 1.0, 0.5),
    ],
)
def test_rates_fall_over_the_last_part(part, decay, factor):
    assert final_decay(part, decay) == pytest.approx(factor, abs=1e-12)

"""Islands of full precision: what autocast and half precision leave of a product and of a length."""

import pytest
import torch
from torch.nn import functional as F

from synthcl.learners.precision import at_least_float32, full_precision, unit_length

ROWS = torch.randn(5, 7, generator=torch.Generator().manual_seed(0))


def test_a_product_on_an_island_is_that_of_no_autocast():
    expected = ROWS @ ROWS.T
    with torch.autocast("cpu", dtype=torch.bfloat16):
        outside = ROWS @ ROWS.T
        with full_precision(ROWS):
            inside = ROWS @ ROWS.T
        again = ROWS @ ROWS.T
    assert torch.equal(inside, expected)
    assert outside.dtype == again.dtype == torch.bfloat16  # or the test would show nothing


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [
        (torch.float16, torch.float32),
        (torch.bfloat16, torch.float32),
        (torch.float32, torch.float32),
        (torch.float64, torch.float64),
    ],
)
def test_no_type_is_made_narrower(dtype, expected):
    rows = ROWS.to(dtype)
    assert at_least_float32(rows).dtype == expected
    assert torch.equal(at_least_float32(rows).to(dtype), rows)
    assert unit_length(rows).dtype == expected


def test_lengths_of_half_precision_are_taken_in_float32():
    large = (ROWS * 100).half()  # squares of these overflow float16
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = unit_length(large)
    torch.testing.assert_close(found, F.normalize(large.double(), dim=1).float())
    torch.testing.assert_close(found.norm(dim=1), torch.ones(5))


def test_a_row_of_zeros_stays_one():
    assert torch.equal(unit_length(torch.zeros(2, 3)), torch.zeros(2, 3))

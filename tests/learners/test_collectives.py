"""What ranks tell each other: values and gradients, against the whole batch. Gloo is in test_learner_ranks.py."""

import pytest
import torch

from synthcl.learners.collectives import gather, gather_with_gradient, rank, sum_with_gradient, world_size

WORLD_SIZE = 3
ROWS = torch.randn(6, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
WEIGHTS = torch.randn(WORLD_SIZE, 6, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def own(own_rank: int) -> torch.Tensor:
    return ROWS[2 * own_rank :][:2].clone().requires_grad_()


def test_in_one_process_they_are_the_identity():
    x = own(0)
    assert (world_size(), rank()) == (1, 0)
    assert gather_with_gradient(x) is x
    assert sum_with_gradient(x) is x
    assert torch.equal(gather(x), x) and not gather(x).requires_grad


def test_all_rows_come_in_order_of_rank(in_ranks):
    def function(own_rank):
        assert (world_size(), rank()) == (WORLD_SIZE, own_rank)
        return gather(own(own_rank)), gather_with_gradient(own(own_rank)).detach()

    for gathered, with_gradient in in_ranks(WORLD_SIZE, function):
        assert torch.equal(gathered, ROWS)
        assert torch.equal(with_gradient, ROWS)
        assert not gathered.requires_grad


def test_the_gradient_of_gathered_rows_is_that_of_the_whole_batch(in_ranks):
    """Each rank's loss is its own; the mean of them, in one process, is the reference."""

    def function(own_rank):
        x = own(own_rank)
        (WEIGHTS[own_rank] * gather_with_gradient(x).square()).sum().backward()
        return x.grad / WORLD_SIZE

    whole = ROWS.clone().requires_grad_()
    (WEIGHTS * whole.square()).sum(dim=(1, 2)).mean().backward()
    torch.testing.assert_close(torch.cat(in_ranks(WORLD_SIZE, function)), whole.grad)


def test_the_sum_and_its_gradient_are_those_of_the_whole_batch(in_ranks):
    def function(own_rank):
        x = own(own_rank)
        total = sum_with_gradient(x.square())
        (WEIGHTS[own_rank, :2] * total.sin()).sum().backward()
        return total.detach(), x.grad / WORLD_SIZE

    whole = ROWS.clone().requires_grad_()
    expected = whole.square().view(WORLD_SIZE, 2, 2).sum(dim=0)
    (WEIGHTS[:, :2] * expected.sin()).sum(dim=(1, 2)).mean().backward()
    totals, gradients = zip(*in_ranks(WORLD_SIZE, function), strict=True)
    for total in totals:
        torch.testing.assert_close(total, expected.detach())
    torch.testing.assert_close(torch.cat(gradients), whole.grad)


@pytest.mark.parametrize("function", [gather, gather_with_gradient])
def test_rows_that_do_not_lie_in_order_are_told_all_the_same(in_ranks, function):
    columns = torch.arange(6.0).view(2, 3).T  # not contiguous
    (first, second) = in_ranks(2, lambda own_rank: function(columns + 10 * own_rank))
    assert torch.equal(first, second)
    assert first.tolist() == torch.cat((columns, columns + 10)).tolist()

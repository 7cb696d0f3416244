"""What the losses over pairs of views, Barlow Twins' and VICReg's, have in common: larger groups, and shares."""

import pytest
import torch
from lightly.loss import BarlowTwinsLoss, VICRegLoss

from synthcl.learners.barlow import barlow_twins_loss
from synthcl.learners.pairs import pair_views
from synthcl.learners.vicreg import Weights, vicreg_loss

TWO_VIEWS = torch.arange(8).repeat(2)
MIXED_GROUPS = torch.tensor([5, 6, 8, 5, 6, 8, 8, 8, 9, 9, 9])  # two views, two, four and three


def projections(n: int, *, dim: int = 5, seed: int = 0) -> torch.Tensor:
    return torch.randn(n, dim, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def barlow(z, pairs):
    return barlow_twins_loss(z, pairs, 0.02)


def vicreg(z, pairs):
    return vicreg_loss(z, pairs, Weights(25.0, 20.0, 2.0))


LOSSES = pytest.mark.parametrize("loss_of", [barlow, vicreg])


@pytest.mark.parametrize(
    ("loss_of", "published"),
    [(barlow, BarlowTwinsLoss(lambda_param=0.02)), (vicreg, VICRegLoss(25.0, 20.0, 2.0))],
    ids=["barlow", "vicreg"],
)
def test_larger_groups_are_the_published_loss_of_their_pairs(loss_of, published):
    # A group of four is two pairs; one of three is the cycle of its three pairs, each counting half.
    z = projections(8)
    loss, _ = loss_of(z, pair_views(torch.tensor([0, 0, 1, 1, 0, 0, 1, 1])))
    torch.testing.assert_close(loss, published(z[:4], z[4:]))
    z = projections(9)
    loss, _ = loss_of(z, pair_views(torch.arange(3).repeat(3)))
    if loss_of is barlow:  # VICReg's unbiased variance counts the pairs, 9 / 2
        torch.testing.assert_close(loss, published(z, z.roll(-3, 0)))


@LOSSES
@pytest.mark.parametrize("groups", [TWO_VIEWS, MIXED_GROUPS], ids=["two views", "mixed"])
def test_the_loss_is_the_mean_of_its_shares(loss_of, groups):
    loss, shares = loss_of(projections(len(groups)), pair_views(groups))
    torch.testing.assert_close(shares.mean(), loss)
    assert not shares.requires_grad


@LOSSES
def test_the_pair_that_differs_most_has_the_largest_share(loss_of):
    first = projections(32)
    z = torch.cat((first, first + 0.1 * projections(32, seed=1)))
    z[35] = -3 * z[3]
    _, shares = loss_of(z, pair_views(torch.arange(32).repeat(2)))
    assert shares.argmax() in (3, 35)
    torch.testing.assert_close(shares[:32], shares[32:])


@LOSSES
def test_losses_do_not_change_with_the_order_of_the_groups(loss_of):
    order = MIXED_GROUPS.argsort(descending=True, stable=True)
    z = projections(len(MIXED_GROUPS))
    loss, shares = loss_of(z, pair_views(MIXED_GROUPS))
    permuted, permuted_shares = loss_of(z[order], pair_views(MIXED_GROUPS[order]))
    torch.testing.assert_close(permuted, loss)
    torch.testing.assert_close(permuted_shares, shares[order])


@LOSSES
def test_gradients_agree_with_finite_differences(loss_of):
    z = projections(len(MIXED_GROUPS)).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: loss_of(x, pair_views(MIXED_GROUPS))[0], z)


@LOSSES
def test_losses_are_computed_in_float32_under_autocast(loss_of):
    z = projections(16).float()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside, _ = loss_of(z, pair_views(TWO_VIEWS))
    assert torch.equal(inside, loss_of(z, pair_views(TWO_VIEWS))[0])

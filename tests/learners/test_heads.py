"""Heads: what they compute of features, written out layer by layer, and where there are biases."""

import pytest
import torch
from torch import nn

from synthcl.learners.heads import batchnorm_mlp, gelu_mlp, mlp


def features(n: int, width: int = 4) -> torch.Tensor:
    return torch.randn(n, width, generator=torch.Generator().manual_seed(0)) + 2


def matrices(head: nn.Module) -> list[torch.Tensor]:
    return [layer.weight for layer in head if isinstance(layer, nn.Linear)]


def normalised(x: torch.Tensor) -> torch.Tensor:
    return (x - x.mean(dim=0)) / (x.var(dim=0, correction=0) + 1e-5).sqrt()


def test_mlp_is_two_layers_with_a_ramp_between_them():
    head, x = mlp(4, 5, 3), features(6)
    hidden = (x @ head[0].weight.T + head[0].bias).clamp(min=0)
    torch.testing.assert_close(head(x), hidden @ head[2].weight.T + head[2].bias)
    assert (head(x) < 0).any()  # none at its end


@pytest.mark.parametrize("sizes", [(4, 5, 3), (4, 5, 6, 3)])
@pytest.mark.parametrize("output_bias", [True, False])
def test_batchnorm_mlp_normalises_all_layers_but_the_last(sizes, output_bias):
    head, x = batchnorm_mlp(*sizes, output_bias=output_bias), features(6)
    *hidden, last = matrices(head)
    expected = x
    for weight in hidden:
        expected = normalised(expected @ weight.T).clamp(min=0)
    expected = expected @ last.T + (head[-1].bias if output_bias else 0)
    torch.testing.assert_close(head(x), expected)
    biases = [layer.bias is not None for layer in head if isinstance(layer, nn.Linear)]
    assert biases == [False] * len(hidden) + [output_bias]


@pytest.mark.parametrize("affine", [True, False])
def test_a_normalised_output_has_no_ramp_and_a_scale_where_asked_for(affine):
    head, x = batchnorm_mlp(4, 5, 3, output_batchnorm=True, output_affine=affine), features(6)
    first, last = matrices(head)
    expected = normalised(normalised(x @ first.T).clamp(min=0) @ last.T)
    if affine:
        nn.init.constant_(head[-1].weight, 2.0)
        nn.init.constant_(head[-1].bias, -1.0)
        expected = 2 * expected - 1
    torch.testing.assert_close(head(x), expected)
    assert all(layer.bias is None for layer in head if isinstance(layer, nn.Linear))
    assert sum(p.numel() for p in head[-1].parameters()) == (6 if affine else 0)


@pytest.mark.parametrize("batchnorm", [True, False])
def test_gelu_mlp_curves_all_layers_but_the_last(batchnorm):
    head, x = gelu_mlp(4, 5, 6, 3, batchnorm=batchnorm), features(6)
    *hidden, last = matrices(head)
    expected = x
    for weight in hidden:
        expected = expected @ weight.T
        expected = nn.functional.gelu(normalised(expected) if batchnorm else expected)
    torch.testing.assert_close(head(x), expected @ last.T)  # biases begin at 0
    assert all(layer.bias is not None for layer in head if isinstance(layer, nn.Linear))

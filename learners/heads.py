"""The small networks between a backbone's features and a loss, as each method published them.

Shapes: features (N, F) to embeddings (N, D).
"""

from __future__ import annotations

from itertools import pairwise

from torch import nn


def mlp(*sizes: int) -> nn.Sequential:
    """Linear layers with ReLU between: SimCLR's head (arXiv 2002.05709, section 2.1) and MoCo v2's (arXiv 2003.04297,
    section 2), with two layers each.

    Args:
        sizes: width of the input and of each layer's output.
    """
    layers: list[nn.Module] = []
    for size, next_size in pairwise(sizes):
        layers += [nn.Linear(size, next_size), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers[:-1])


def batchnorm_mlp(
    *sizes: int, output_batchnorm: bool = False, output_affine: bool = True, output_bias: bool = True
) -> nn.Sequential:
    """Linear layers, each but the last followed by batch normalisation and ReLU.

    Two layers: BYOL's projector and predictor (arXiv 2006.07733, section 3.3), SimSiam's predictor. Three layers:
    SimSiam's projector, with normalised output (arXiv 2011.10566, section 3), Barlow Twins' (arXiv 2103.03230, section
    2.2) and VICReg's (arXiv 2105.04906, section 4.2), which have no biases. Two or three layers with normalised output:
    MoCo v3's (arXiv 2104.02057, section 3) and NNCLR's projector (arXiv 2104.14548, section 4.1).

    Args:
        sizes: width of the input and of each layer's output.
        output_batchnorm: whether batch normalisation, without ReLU, follows the last layer too.
        output_affine: whether that one has a scale and a shift.
        output_bias: whether the last layer has a bias. The others have none: batch normalisation would take it away.
    """
    layers: list[nn.Module] = []
    for size, next_size in pairwise(sizes[:-1]):
        layers += [nn.Linear(size, next_size, bias=False), nn.BatchNorm1d(next_size), nn.ReLU(inplace=True)]
    layers.append(nn.Linear(sizes[-2], sizes[-1], bias=output_bias and not output_batchnorm))
    if output_batchnorm:
        layers.append(nn.BatchNorm1d(sizes[-1], affine=output_affine))
    return nn.Sequential(*layers)


def gelu_mlp(*sizes: int, batchnorm: bool = False) -> nn.Sequential:
    """Linear layers with GELU between: DINO's head before its prototypes (arXiv 2104.14294, section 3.1), drawn as by
    its authors' code. Biases begin at 0.

    Args:
        sizes: width of the input and of each layer's output.
        batchnorm: whether batch normalisation stands before each GELU, as in the authors' code for residual nets.
    """
    layers: list[nn.Module] = []
    for size, next_size in pairwise(sizes):
        linear = nn.Linear(size, next_size)
        nn.init.trunc_normal_(linear.weight, std=0.02)
        nn.init.zeros_(linear.bias)
        layers += [linear, *([nn.BatchNorm1d(next_size)] if batchnorm else []), nn.GELU()]
    return nn.Sequential(*layers[: -2 if batchnorm else -1])

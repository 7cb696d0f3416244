"""Checks of learners' options: what is refused, in which words."""

import math

import pytest
from torch import nn

from synthcl.learners.validation import num_features, require_fraction, require_positive


@pytest.mark.parametrize("value", [0, -1, -0.5, math.nan])
def test_what_is_not_above_0(value):
    with pytest.raises(ValueError, match=rf"^depth must be above 0, not {value}\.$"):
        require_positive(width=1e-9, depth=value)


@pytest.mark.parametrize("value", [-0.01, 1.01, math.nan])
def test_what_is_no_fraction(value):
    with pytest.raises(ValueError, match=rf"^momentum must be between 0 and 1, not {value}\.$"):
        require_fraction(other=0.0, another=1.0, momentum=value)


@pytest.mark.parametrize("said", [None, "6", 6.0])
def test_a_backbone_that_does_not_say_how_many_features_it_gives(said):
    backbone = nn.Flatten()
    if said is not None:
        backbone.num_features = said
    with pytest.raises(ValueError, match="says in num_features how many features it gives; Flatten does not"):
        num_features(backbone)


def test_one_that_does():
    backbone = nn.Flatten()
    backbone.num_features = 6
    assert num_features(backbone) == 6

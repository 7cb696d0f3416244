"""Names, options and recipes of learners; and that asking for them does not import torch."""

import subprocess
import sys
from typing import Any

import pytest
from torch import nn

from synthcl.learners import (
    Learner,
    OptimizerRecipe,
    create_learner,
    learner_names,
    learner_option_types,
    learner_options,
    learner_recipe,
    registry,
)
from synthcl.learners.recipe import OPTIMIZERS


class Backbone(nn.Flatten):
    num_features = 12


def test_names_are_there_without_torch():
    code = (
        "import sys, synthcl.learners as learners\n"
        "print(learners.learner_names(), learners.backbone_names(), learners.OptimizerRecipe)\n"
        "assert 'torch' not in sys.modules\n"
        "assert learners.Learner.__name__ == 'Learner' and 'torch' in sys.modules\n"
    )
    output = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert "moco" in output
    assert "resnet18" in output


def test_an_unknown_attribute_of_the_package_is_an_attribute_error():
    import synthcl.learners as learners

    with pytest.raises(AttributeError, match="attribute Lerner"):
        _ = learners.Lerner


def test_an_unknown_learner_lists_those_there_are():
    with pytest.raises(
        ValueError, match=r"Unknown learner 'simclrr' \(did you mean 'simclr'\?\). There are: simclr, moco"
    ):
        create_learner("simclrr", Backbone())


@pytest.mark.parametrize("name", learner_names())
def test_an_unknown_option_lists_those_there_are(name):
    with pytest.raises(
        ValueError,
        match=rf"{name} has no option 'hiden_dim' \(did you mean 'hidden_dim'\?\)\. It has, with defaults: hidden_dim",
    ):
        create_learner(name, Backbone(), hiden_dim=3)


@pytest.mark.parametrize("name", learner_names())
def test_every_option_has_a_default_and_is_checked(name):
    options = learner_options(name)
    assert options["hidden_dim"] > 0
    assert options["embedding_dim"] > 0
    for option in (n for n, kind in learner_option_types(name).items() if kind not in (bool, bool | None)):
        with pytest.raises(ValueError, match=rf"{option} must be (above|between) .*, not -1"):
            create_learner(name, Backbone(), **{"hidden_dim": 4, "embedding_dim": 4, option: -1})


@pytest.mark.parametrize("name", learner_names())
def test_every_option_declares_its_type_and_its_default_has_it(name):
    types, defaults = learner_option_types(name), learner_options(name)
    assert types.keys() == defaults.keys() and types["hidden_dim"] is int
    for option, kind in types.items():
        assert isinstance(defaults[option], kind), option


def test_a_type_that_is_not_declared_is_that_of_the_default(monkeypatch):
    class Loose(Learner):
        def __init__(self, backbone, *, depth=3, note=None, width: int = 4, **common):
            raise AssertionError

    monkeypatch.setattr(registry, "_learner_class", lambda name: Loose)
    assert learner_option_types("loose") == {"depth": int, "note": Any, "width": int}


@pytest.mark.parametrize("name", learner_names())
def test_every_learner_has_a_recipe(name):
    recipe = learner_recipe(name)
    assert isinstance(recipe, OptimizerRecipe)
    assert recipe.optimizer in OPTIMIZERS
    assert 0 < recipe.base_learning_rate < 1
    assert recipe.learning_rate(512) == 2 * recipe.base_learning_rate
    assert recipe.source

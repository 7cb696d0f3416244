"""Recipes: linear scaling of the rate, and what another optimizer starts from."""

import dataclasses

import pytest

from synthcl.learners.recipe import NAMES, OPTIMIZERS, OptimizerRecipe

OWN = OptimizerRecipe(optimizer="sgd", base_learning_rate=0.12, weight_decay=5e-4, source="of this test")


@pytest.mark.parametrize(("batch_size", "rate"), [(256, 0.12), (64, 0.03), (1024, 0.48)])
def test_the_rate_grows_with_the_batch(batch_size, rate):
    assert OWN.learning_rate(batch_size) == pytest.approx(rate)


def test_an_optimizer_that_is_none_is_refused():
    assert tuple(OPTIMIZERS) == NAMES
    with pytest.raises(ValueError, match="unknown optimizer 'rmsprop'; choose one of sgd, lars, adamw"):
        dataclasses.replace(OWN, optimizer="rmsprop")


@pytest.mark.parametrize("name", [None, "sgd"])
def test_its_own_optimizer_leaves_a_recipe_as_it_is(name):
    assert OWN.with_optimizer(name) is OWN


@pytest.mark.parametrize("name", ["lars", "adamw"])
def test_another_optimizer_brings_its_own_numbers(name):
    other = OWN.with_optimizer(name)
    assert other == OPTIMIZERS[name]
    assert other.optimizer == name
    assert (other.base_learning_rate, other.weight_decay) != (OWN.base_learning_rate, OWN.weight_decay)


def test_a_recipe_does_not_change_under_those_that_share_it():
    with pytest.raises(dataclasses.FrozenInstanceError):
        OPTIMIZERS["sgd"].base_learning_rate = 1.0

"""What the options of a training make of its learner, its views and its learning rate."""

import dataclasses
import re

import pytest
import torch

from synthcl.pipeline.configs.train import TrainConfig
from synthcl.pipeline.data import open_images
from synthcl.pipeline.errors import UsageError
from synthcl.pipeline.runtime.distributed import create_accelerator
from synthcl.pipeline.training.parts import (
    build_learner,
    check_labels,
    make_schedule,
    optimizer_recipe,
    precisions,
    views_preset,
)

COMMON = {"data": "digits", "out": "x", "backbone": "resnet10-w8"}


def config(**options):
    return TrainConfig(**{**COMMON, "epochs": 10, **options})


OPTIMIZER_OPTIONS = {
    "none": ({}, {}),
    "numbers": (
        {"learning_rate": 0.5, "weight_decay": 0.0, "decay_norms": False},
        {"base_learning_rate": 0.5, "weight_decay": 0.0, "decay_norms": False},
    ),
    "another optimizer": ({"optimizer": "adamw"}, {}),
    "another optimizer with a number": ({"optimizer": "adamw", "learning_rate": 0.01}, {"base_learning_rate": 0.01}),
}


@pytest.mark.parametrize(("options", "changed"), OPTIMIZER_OPTIONS.values(), ids=OPTIMIZER_OPTIONS.keys())
def test_the_optimizer_is_the_learners_but_for_what_is_given(options, changed):
    chosen = config(**options)
    learner = build_learner(chosen, 8)
    own = learner.recipe.with_optimizer(options.get("optimizer"))
    assert optimizer_recipe(chosen, learner) == dataclasses.replace(own, **changed)
    assert own.optimizer == options.get("optimizer", learner.recipe.optimizer)


@pytest.mark.parametrize(
    ("options", "steps_per_epoch", "total", "warmup"),
    [
        ({}, 10, 1000, 100),  # ten epochs
        ({}, 100, 1000, 100),  # a tenth of the training
        ({"warmup_epochs": 0.5}, 10, 1000, 5),
        ({"warmup_epochs": 0}, 10, 1000, 0),
    ],
)
def test_warm_up_is_a_tenth_of_the_training_at_most(options, steps_per_epoch, total, warmup):
    chosen = config(batch_size=64, learning_rate=1.0, **options)
    schedule = make_schedule(chosen, build_learner(chosen, 8), steps_per_epoch, total)
    assert (schedule.warmup_steps, schedule.total_steps) == (warmup, total)
    assert schedule.peak == pytest.approx(64 / 256)  # the rate is that of a batch of 256


def test_options_reach_the_learner():
    torch.manual_seed(0)
    learner = build_learner(config(temperature=0.3, synthetic_weight=None, accumulate=2), 8)
    assert (learner.temperature, learner.num_parts) == (0.3, 2)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"backbone": "resnet7"}, "resnet7"), ({"learner": "byol", "temperature": 0.1}, "temperature")],
)
def test_what_a_learner_cannot_be_is_wrong_usage(options, message):
    with pytest.raises(UsageError, match=message):
        build_learner(config(**options), 8)


def test_labels_are_read_for_learners_that_take_them():
    store = open_images("digits", image_size=8)
    assert not check_labels(config(), store) and check_labels(config(learner="supcon"), store)
    with pytest.raises(UsageError, match=re.escape("--synthetic-classes is for a learner that takes labels")):
        check_labels(config(shards=["set"], synthetic_classes=True), store)


def test_views_are_the_learners_unless_given():
    store = open_images("digits", image_size=8)
    assert views_preset(config(views="adainf"), store) == "adainf"
    assert views_preset(config(), store) == "digits"


@pytest.mark.parametrize(
    ("options", "names"),
    [({}, {"precision"}), ({"fresh": True, "generator": "g"}, {"precision", "generator_precision"})],
)
def test_precisions_name_the_generators_where_there_is_one(options, names):
    found = precisions(config(**options), create_accelerator("fp32"))
    assert set(found) == names and set(found.values()) == {"fp32"}

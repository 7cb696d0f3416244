"""What the options of a training make of its learner, its views and its learning rate."""

import dataclasses
import re

import pytest
import torch
from accelerate import Accelerator
from torch import nn

from synthcl.learners.batchnorm import SyncBatchNorm
from synthcl.pipeline.configs.pretrain import PretrainConfig
from synthcl.pipeline.configs.train import TrainConfig
from synthcl.pipeline.data import open_images
from synthcl.pipeline.errors import UsageError
from synthcl.pipeline.randomness import Key
from synthcl.pipeline.runtime.distributed import create_accelerator
from synthcl.pipeline.training.build import (
    build_learner,
    check_labels,
    loop_options,
    make_schedule,
    optimizer_recipe,
    precisions,
    prepare,
    view_maker,
    view_size,
    views_preset,
)
from synthcl.pipeline.training.schedule import Schedule
from synthcl.pipeline.views import Augmentation, multi_view, normalize, to_float
from synthcl.pipeline.views.presets import find_preset, local_parameters

NARROW = {"hidden_dim": 8, "embedding_dim": 4, "num_prototypes": 8}
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


@pytest.mark.parametrize(("given", "size"), [({}, 8), ({"local_size": 5}, 5)])
def test_local_views_are_made_beside_the_others(given, size):
    store, key = open_images("digits", image_size=16), Key.from_seed(0)
    chosen = config(learner="dino", local_views=3, views="dino", **given)
    made = view_maker(chosen, store, key)
    assert (made.num_local, made.local_augmentation.size) == (3, size)
    assert made.local_augmentation.parameters == local_parameters(find_preset("dino"))
    assert made.augmentation.size == 16
    plain = view_maker(config(learner="dino"), store, key)
    assert plain.local_augmentation is None and plain.num_local == 0


def test_views_may_be_smaller_than_the_images_and_what_is_chosen_by_size_follows_them():
    store, key = open_images("digits", image_size=80), Key.from_seed(0)
    chosen = config(data="photos", learner="dino", local_views=3, view_size=64)
    assert view_size(chosen, 80) == 64 and view_size(config(), 80) == 80
    assert views_preset(chosen, store) == "dino-cifar"
    made = view_maker(chosen, store, key)
    assert (made.augmentation.size, made.local_augmentation.size) == (64, 24)
    images = to_float(store.read([0, 1, 2]))
    views = made(images, torch.arange(3), 0)
    assert views.shape == (3, 2, 3, 64, 64)
    expected = multi_view(images, torch.arange(3), 2, Augmentation("dino-cifar", 64), key.child("views", 0))
    assert torch.equal(views.flatten(0, 1), normalize(expected))
    with pytest.raises(UsageError, match="--view-size 81 is above the 80 pixels of the images; give at most as many"):
        view_maker(config(view_size=81), store, key)


def test_local_views_are_smaller_than_the_images():
    with pytest.raises(UsageError, match=r"--local-size 16 is not below the 16 pixels of the other views.* such as 8"):
        build_learner(config(learner="dino", local_views=2, local_size=16), 16)


def test_a_vision_transformer_takes_local_views_of_whole_patches():
    pytest.importorskip("timm")
    chosen = config(learner="dino", local_views=2, backbone="timm:test_vit", learner_option=NARROW)
    assert build_learner(chosen, 32).backbone(torch.zeros(1, 3, 16, 16)).shape == (1, 64)
    chosen.local_size = 8
    with pytest.raises(UsageError, match="timm:test_vit for images of 32 pixels takes none of 8 pixels besides"):
        build_learner(chosen, 32)


@pytest.mark.parametrize(
    ("options", "names"),
    [({}, {"precision"}), ({"fresh": True, "generator": "g"}, {"precision", "generator_precision"})],
)
def test_precisions_name_the_generators_where_there_is_one(options, names):
    found = precisions(config(**options), create_accelerator("fp32"))
    assert set(found) == names and set(found.values()) == {"fp32"}


@pytest.mark.parametrize("kind", [TrainConfig, PretrainConfig])
def test_a_loop_is_run_as_the_options_of_its_training_say(kind):
    given = kind(data="digits", out="o", steps=9, batch_size=8, log_every=3, checkpoint_every=4, keep=5)
    found = loop_options(given, Accelerator(cpu=True), "label", 7, ("loss",))
    assert (found.images_per_step, found.log_every, found.checkpoint_every, found.keep) == (8, 3, 4, 5)
    assert (found.label, found.total_steps, found.watch, found.main_process) == ("label", 7, ("loss",), True)


@pytest.mark.parametrize("wanted", [True, False])
def test_several_processes_take_batch_statistics_over_all_where_asked(in_ranks, monkeypatch, wanted):
    chosen, accelerator = config(sync_batchnorm=wanted), create_accelerator("fp32")
    monkeypatch.setattr(Accelerator, "num_processes", 2)
    learners = [build_learner(chosen, 8) for _ in range(2)]
    steps = in_ranks(2, lambda rank: prepare(chosen, accelerator, learners[rank], None, Schedule(0.1, 0, 9)))
    for step in steps:
        norms = [module for module in step.inner.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
        assert norms and all(isinstance(norm, SyncBatchNorm) == wanted for norm in norms)

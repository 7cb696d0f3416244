"""The labels of samples: what they were drawn for, and a sentence where those are no labels of the real images."""

import re

import pytest
import torch

from synthcl.pipeline.configs.train import TrainConfig
from synthcl.pipeline.data import open_images
from synthcl.pipeline.errors import UsageError
from synthcl.pipeline.regimes.sample_labels import labels_of_drawing


class Drawing:
    """A generator that draws class by class, without images; of its classes it tells only if `tells`."""

    def __init__(self, *classes, tells=True):
        self.drawn = classes
        if tells:
            self.classes = classes

    def sample_latents(self, n, *, draws=None, device=None):
        return torch.arange(n)

    def describe(self, latents):
        return {"class": [self.drawn[i % len(self.drawn)] for i in latents.tolist()]} if self.drawn else {}


@pytest.fixture(scope="module")
def real():
    return open_images("digits", image_size=8)


def config(**given):
    return TrainConfig(data="digits", out="x", steps=1, fresh=True, generator="gen", **given)


def test_a_sample_has_the_label_that_it_was_drawn_for(real):
    labels = labels_of_drawing(config(synthetic_classes=True), Drawing(3, 9, 1), real)
    found = labels(torch.tensor([1, 0, 2, 4]))
    assert found.dtype == torch.int64 and found.tolist() == [9, 3, 1, 9]


def test_samples_have_no_labels_unless_asked_for(real):
    assert labels_of_drawing(config(), Drawing(3), real) is None


@pytest.mark.parametrize(
    ("generator", "message"),
    [
        (Drawing(), "gen draws for no classes, so that its samples have no labels; leave it out"),
        (Drawing(3, 10), "gen draws samples of class 10, and no real image has that label; choose with --classes"),
    ],
)
def test_a_generator_without_such_classes_is_refused_at_the_start(real, generator, message):
    with pytest.raises(UsageError, match="^--synthetic-classes: " + re.escape(message)):
        labels_of_drawing(config(synthetic_classes=True), generator, real)


def test_a_class_that_was_not_told_is_refused_when_it_is_drawn(real):
    labels = labels_of_drawing(config(synthetic_classes=True), Drawing(3, 10, tells=False), real)
    assert labels(torch.tensor([0, 2])).tolist() == [3, 3]
    with pytest.raises(UsageError, match="draws samples of class 10"):
        labels(torch.tensor([0, 1]))

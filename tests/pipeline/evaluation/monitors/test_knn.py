"""`--eval-every`: the number is right, and the training does not notice."""

import numpy as np
import pytest
import torch

from synthcl.learners import create_backbone
from synthcl.pipeline.data import open_images
from synthcl.pipeline.encoder import Encoder
from synthcl.pipeline.errors import RunStopped, UsageError
from synthcl.pipeline.evaluation import evaluate_knn
from synthcl.pipeline.evaluation.monitors import knn
from synthcl.pipeline.evaluation.monitors.knn import KnnMonitor

CPU = torch.device("cpu")


def opened(spec="digits", seed=0, image_size=8):
    train = open_images(spec, image_size=image_size, split="train")
    return KnnMonitor.open(train, spec, seed, CPU, "fp32", cache="auto")


def test_on_all_images_it_is_the_nearest_neighbour_evaluation(run, encoder):
    assert opened()(encoder) == {"knn_top1": evaluate_knn(run, "digits", preset="dino")["top1"]}


def test_larger_sets_give_a_part_of_each_class_drawn_by_the_seed(encoder, monkeypatch):
    monkeypatch.setattr(knn, "BANK_IMAGES", 144)
    monkeypatch.setattr(knn, "SCORED_IMAGES", 100)
    first, again, other = opened(), opened(), opened(seed=1)
    counts = first.bank.labels.bincount()
    assert 144 <= len(first.bank.labels) < 154 and counts.min() >= 13 and len(first.scored.labels) < 110
    assert np.array_equal(first.bank.chosen, again.bank.chosen)
    assert not np.array_equal(first.bank.chosen, other.bank.chosen)
    assert torch.equal(first.scored.store.read(range(9)), again.scored.store.read(range(9)))
    assert 0.3 < first(encoder)["knn_top1"] <= 1


def test_the_encoder_is_left_as_it_is_and_no_random_number_is_drawn():
    torch.manual_seed(0)
    backbone = create_backbone("resnet10-w8", image_size=8).train()
    before = {name: tensor.clone() for name, tensor in backbone.state_dict().items()}
    state = torch.get_rng_state()
    opened()(Encoder(backbone, "resnet10-w8", 8))
    assert torch.equal(torch.get_rng_state(), state) and backbone.training
    assert all(torch.equal(before[name], tensor) for name, tensor in backbone.state_dict().items())
    assert all(parameter.requires_grad for parameter in backbone.parameters())


def test_features_that_are_no_numbers_stop_the_run(encoder):
    broken = Encoder(encoder.backbone, encoder.name, encoder.image_size)
    next(broken.backbone.parameters()).fill_(float("nan"))
    with pytest.raises(RunStopped, match="not finite"):
        opened()(broken)


def test_without_a_test_split_it_is_refused():
    with pytest.raises(UsageError, match="digits:test has no test or validation split"):
        opened("digits:test")

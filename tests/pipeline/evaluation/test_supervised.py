import copy
import dataclasses
import math

import numpy as np
import pytest
import torch

from synthcl.pipeline.configs.evaluate import FinetuneConfig, LinearConfig
from synthcl.pipeline.data import EvenOrder
from synthcl.pipeline.errors import UsageError
from synthcl.pipeline.evaluation import supervised
from synthcl.pipeline.evaluation.supervised import Classifier, SupervisedStep, train_classifier
from synthcl.pipeline.evaluation.task import Task
from synthcl.pipeline.randomness import Key
from synthcl.pipeline.runs import loop
from synthcl.pipeline.views import Augmentation

CONFIGS = {
    "linear-sgd": LinearConfig(data="made", probe="sgd", epochs=8, batch_size=16, learning_rate=50.0),
    "finetune": FinetuneConfig(data="made", epochs=8, batch_size=16, learning_rate=0.5, head_learning_rate=5.0),
    "simclr": FinetuneConfig(data="made", preset="simclr", epochs=8, batch_size=16, head_learning_rate=5.0),
}


@pytest.fixture
def task(encoder, make_store):
    train, test = make_store(), make_store(seed=1)
    labels = [torch.from_numpy(store.labels) for store in (train, test)]
    return lambda home: Task(home, encoder, train, test, *labels, torch.arange(2, 60), ["a", "b", "c"])


@pytest.mark.parametrize("name", CONFIGS)
def test_it_learns_the_classes(task, tmp_path, name):
    opened = task(tmp_path)
    before = opened.encoder.weights_hash()
    scores = train_classifier(opened, CONFIGS[name], name)
    assert scores.shape == (60, 3)
    assert (scores.argmax(1) == opened.test_labels).float().mean() > 0.75  # chance is 0.33
    assert opened.encoder.weights_hash() == before


@pytest.mark.parametrize("name", CONFIGS)
def test_interrupted_and_continued_is_the_same(task, tmp_path, name, monkeypatch):
    whole = train_classifier(task(tmp_path / "whole"), CONFIGS[name], name)
    step = supervised.SupervisedStep.__call__

    def stop_in_the_middle(self, index):
        if index == 12:
            raise loop.Interrupted("test")
        return step(self, index)

    save = supervised.LoopOptions
    monkeypatch.setattr(supervised, "LoopOptions", lambda **options: save(**{**options, "checkpoint_every": 5}))
    monkeypatch.setattr(supervised.SupervisedStep, "__call__", stop_in_the_middle)
    with pytest.raises(loop.Interrupted):
        train_classifier(task(tmp_path / "parts"), CONFIGS[name], name)
    monkeypatch.setattr(supervised.SupervisedStep, "__call__", step)
    continued = train_classifier(task(tmp_path / "parts"), CONFIGS[name], name)
    torch.testing.assert_close(continued, whole, rtol=0, atol=0)


def with_another_seed(opened, config):
    return opened, dataclasses.replace(config, seed=1)


def with_another_encoder(opened, config):
    """As a run has that was extended since."""
    encoder = copy.deepcopy(opened.encoder)
    with torch.no_grad():
        next(encoder.backbone.parameters()).mul_(1.5)
    return dataclasses.replace(opened, encoder=encoder), config


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("change", [with_another_seed, with_another_encoder])
def test_another_seed_or_encoder_is_another_training(task, tmp_path, name, change):
    """A finished classifier is given back for the same question alone."""
    first = train_classifier(task(tmp_path), CONFIGS[name], name)
    assert torch.equal(train_classifier(task(tmp_path), CONFIGS[name], name), first)
    opened, config = change(task(tmp_path), CONFIGS[name])
    assert not torch.equal(train_classifier(opened, config, name), first)
    assert len(list((tmp_path / "evaluations").iterdir())) == 2


def test_scores_do_not_depend_on_the_images_beside(task, tmp_path, encoder):
    opened = task(tmp_path)
    model = Classifier(encoder.backbone, 3, frozen=False, key=Key.from_seed(0)).train()
    whole, parts = (supervised._score(model, opened.test, size, torch.device("cpu"), False) for size in (60, 7))
    torch.testing.assert_close(whole, parts, rtol=1e-4, atol=1e-5)


def test_each_step_sees_an_image_otherwise_and_the_same_step_the_same(task, tmp_path):
    opened, key = task(tmp_path), Key.from_seed(0)
    model = Classifier(opened.encoder.backbone, 3, frozen=True, key=key)
    step = SupervisedStep(
        model, torch.optim.SGD(model.head.parameters(), lr=0.1), opened, None, Augmentation("simclr", 8), 10, True, key,
        torch.device("cpu"), False,
    )  # fmt: skip
    images = np.arange(4)
    first, again, second = (step._views(images, number) for number in (0, 0, 1))
    assert torch.equal(first, again)
    assert all(not torch.equal(*views) for views in zip(first, second, strict=True))


@pytest.mark.parametrize("frozen", [True, False])
def test_a_frozen_backbone_gets_no_gradient_and_keeps_its_statistics(encoder, frozen):
    model = Classifier(encoder.backbone, 3, frozen=frozen, key=Key.from_seed(0)).train()
    before = copy.deepcopy(model.backbone.state_dict())
    model(torch.randn(8, 3, 8, 8, generator=torch.Generator().manual_seed(0))).sum().backward()
    assert model.head.weight.grad is not None
    assert all((p.grad is None) == frozen for p in model.backbone.parameters())
    same = all(torch.equal(before[n], t) for n, t in model.backbone.state_dict().items())
    assert same == frozen


def test_the_learning_rate_falls_at_the_milestones(task, tmp_path, monkeypatch):
    rates = []
    step = supervised.SupervisedStep.__call__

    def watch(self, index):
        metrics = step(self, index)
        rates.append(self.optimizer.param_groups[0]["lr"])
        return metrics

    monkeypatch.setattr(supervised.SupervisedStep, "__call__", watch)
    config = LinearConfig(data="made", probe="sgd", epochs=10, batch_size=58, learning_rate=256 / 58)
    train_classifier(task(tmp_path), config, "linear-sgd")
    assert rates == pytest.approx([1.0] * 6 + [0.1] * 2 + [0.01] * 2)
    rates.clear()
    config = FinetuneConfig(data="made", preset="simclr", epochs=10, batch_size=58, learning_rate=256 / 58)
    train_classifier(task(tmp_path), config, "finetune")
    assert rates == pytest.approx([0.5 * (1 + math.cos(math.pi * step / 10)) for step in range(10)])


@pytest.mark.parametrize("name", CONFIGS)
def test_each_pass_shows_all_labeled_images(task, tmp_path, name, monkeypatch):
    """58 images in batches of at most 40: two of 29 a pass, and the rates of such batches."""
    seen, rates = [], []
    views = supervised.SupervisedStep._views

    def watch(self, images, step):
        seen.append(images)
        rates.append(self.optimizer.param_groups[-1]["lr"])
        return views(self, images, step)

    monkeypatch.setattr(supervised.SupervisedStep, "_views", watch)
    config = dataclasses.replace(CONFIGS[name], batch_size=40, epochs=3)
    train_classifier(task(tmp_path), config, name)
    assert [len(batch) for batch in seen] == [29] * 6
    for first, second in zip(seen[::2], seen[1::2], strict=True):
        assert sorted([*first, *second]) == list(range(2, 60))
    assert rates[0] == pytest.approx(config.settings().head_learning_rate * 29 / 256)


def test_a_state_of_passes_that_dropped_images_is_not_gone_on_with(task, tmp_path):
    """Its folder is another one; that of whole batches, which are the same, stays."""
    opened, config = task(tmp_path), CONFIGS["finetune"]
    names = [
        supervised._state_folder(opened, config, "finetune", EvenOrder(size, 16, Key.from_seed(0))).name
        for size in (48, 64, 58)
    ]
    assert names[0] == names[1] != names[2]


@pytest.mark.parametrize(
    ("labeled", "batch_size", "message"),
    [
        (58, 1, r"--batch-size 1 makes batches of one of 58 labeled images.*pass --batch-size 2 or more"),
        (3, 2, r"--batch-size 2 makes batches of one of 3 labeled images.*pass --batch-size 3 or more"),
        (1, 16, "there is one labeled image"),
    ],
)
def test_fine_tuning_refuses_batches_of_one_image_and_leaves_nothing(task, tmp_path, labeled, batch_size, message):
    opened = task(tmp_path)
    opened.subset = opened.subset[:labeled]
    config = dataclasses.replace(CONFIGS["finetune"], batch_size=batch_size)
    with pytest.raises(UsageError, match=message):
        train_classifier(opened, config, "finetune")
    assert not any(tmp_path.iterdir())


def test_a_frozen_encoder_takes_batches_of_one_image(task, tmp_path):
    config = dataclasses.replace(CONFIGS["linear-sgd"], batch_size=1, epochs=1)
    assert train_classifier(task(tmp_path), config, "linear-sgd").shape == (60, 3)


def test_the_optimizer_is_the_presets(encoder):
    model = Classifier(encoder.backbone, 3, frozen=False, key=Key.from_seed(0))
    for preset, rates, decay in (("ours", [0.005, 0.05], 1e-4), ("simclr", [0.0125, 0.0125], 0.0)):
        optimizer = supervised._optimizer(model, FinetuneConfig(data="d", preset=preset).settings(), 64)
        assert [group["lr"] for group in optimizer.param_groups] == pytest.approx(rates)
        assert {group["weight_decay"] for group in optimizer.param_groups} == {decay}
        assert {group["nesterov"] for group in optimizer.param_groups} == {preset == "simclr"}
        assert sum(len(group["params"]) for group in optimizer.param_groups) == len(list(model.parameters()))

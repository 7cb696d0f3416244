"""One training step with adversarial views, against the same written out; in two processes as in one; and what a step
takes of the schedule."""

import contextlib
import copy
import dataclasses
import json
import math
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from accelerate.state import AcceleratorState
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from synthcl.learners import create_backbone, create_learner, learner_names
from synthcl.learners.base import SyntheticTerms
from synthcl.learners.optimizers import create_optimizer
from synthcl.learners.recipe import OPTIMIZERS
from synthcl.pipeline.configs.train import TrainConfig
from synthcl.pipeline.regimes.base import MultiViewedBatch, Regime
from synthcl.pipeline.regimes.gradients import unscaled
from synthcl.pipeline.runtime.distributed import create_accelerator
from synthcl.pipeline.training.build import make_schedule, prepare
from synthcl.pipeline.training.schedule import Schedule
from synthcl.pipeline.training.step import TrainingStep
from synthcl.pipeline.views import denormalize, normalize
from synthcl.pipeline.views.adversarial import AdversarialViews

EPSILON, LEARNING_RATE = 0.05, 0.1
GROUPS = torch.tensor([0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5])
NUM_REAL = 8


class Fixed(Regime):
    """Random views: four real images and two samples; with `learning`, samples that ask for their gradient."""

    def __init__(self, learning: bool = False) -> None:
        self.leaf = torch.zeros(4, 3, 8, 8, dtype=torch.float64).requires_grad_(learning)

    def batch(self, step, learner):
        generator = torch.Generator().manual_seed(step)
        views = normalize(torch.rand(len(GROUPS), 3, 8, 8, generator=generator, dtype=torch.float64))
        views = torch.cat((views[:NUM_REAL], views[NUM_REAL:] + self.leaf))
        return MultiViewedBatch(views, GROUPS, NUM_REAL)


def make(name, **terms):
    torch.manual_seed(0)
    options = {"hidden_dim": 16, "embedding_dim": 8} | ({"queue_size": 24} if name == "moco" else {})
    backbone = create_backbone("resnet10-w8", image_size=8)
    return create_learner(name, backbone, synthetic=SyntheticTerms(**terms), **options).double()


def training_step(learner, regime, epsilon=EPSILON, clip=None):
    accelerator = create_accelerator("fp32")
    optimizer = torch.optim.SGD([p for p in learner.parameters() if p.requires_grad], lr=LEARNING_RATE)
    prepared, optimizer = accelerator.prepare(learner, optimizer)
    adversary = AdversarialViews(epsilon) if epsilon else None
    return TrainingStep(accelerator, prepared, optimizer, Schedule(LEARNING_RATE, 0, 10**9), regime, adversary, clip)


def naive_step(learner, regime, step):
    """The clean loss; its gradient at the real views; the loss of those moved, by a copy whose statistics are lost."""
    batch = regime.batch(step, learner)
    copied, views = copy.deepcopy(learner), batch.views.detach()
    real = views[:NUM_REAL].clone().requires_grad_()
    clean = learner(torch.cat((real, views[NUM_REAL:])), batch.groups, NUM_REAL).loss
    (at_views,) = torch.autograd.grad(clean, real, retain_graph=True)
    moved = normalize((denormalize(views[:NUM_REAL]) + EPSILON * at_views.sign()).clamp(0, 1))
    adversarial = copied(moved, batch.groups[:NUM_REAL]).loss
    clean.backward()
    adversarial.backward()
    with torch.no_grad():
        for mine, other in zip(learner.parameters(), copied.parameters(), strict=True):
            if mine.grad is not None:
                mine -= LEARNING_RATE * (mine.grad + other.grad)
    learner.zero_grad()
    learner.after_step(1e-9)
    return clean.item(), adversarial.item()


@pytest.mark.parametrize("name", learner_names())
def test_an_adversarial_step_is_the_sum_of_both_losses_written_out(name):
    learner, expected, regime = make(name), make(name), Fixed()
    one = training_step(learner, regime)
    for step in range(2):
        metrics = one(step)
        losses = naive_step(expected, regime, step)
        found = (metrics["loss"].item(), metrics["loss_adversarial"].item())
        assert found == pytest.approx(losses, rel=1e-9)
    # Weights, running statistics and the queue: of clean views alone.
    for key, tensor in expected.state_dict().items():
        torch.testing.assert_close(learner.state_dict()[key], tensor, rtol=1e-7, atol=1e-9, msg=key)


def test_moving_the_views_raises_the_loss():
    """On the same weights, against views moved at random by as much."""
    learner, regime = make("simclr").eval(), Fixed()
    batch = regime.batch(0, learner)
    adversary = AdversarialViews(0.01)
    views = adversary.watch(batch.views[:NUM_REAL])
    clean = learner(views, GROUPS[:NUM_REAL]).loss
    clean.backward()
    worst = learner(adversary(views, views.grad), GROUPS[:NUM_REAL]).loss
    torch.manual_seed(0)
    chance = learner(adversary(views, torch.randn_like(views)), GROUPS[:NUM_REAL]).loss
    assert worst > clean
    assert worst > chance


def test_a_generator_gets_the_gradient_of_the_clean_pass_alone():
    gradients = []
    for epsilon in (0, EPSILON):
        regime = Fixed(learning=True)
        training_step(make("simclr"), regime, epsilon)(0)
        gradients.append(regime.leaf.grad)
    torch.testing.assert_close(*gradients)
    assert gradients[0].abs().max() > 0


def test_with_clsp_and_statistics_of_its_own():
    learner = make("simclr", loss="clsp", own_statistics=True)
    before = {n: b.clone() for n, b in learner.named_buffers()}
    metrics = training_step(learner, Fixed())(0)
    assert all(math.isfinite(value) for value in metrics.values())
    counts = [b - before[n] for n, b in learner.named_buffers() if n.endswith("num_batches_tracked")]
    assert counts and all(count == 1 for count in counts)


def test_in_parts_the_gradient_is_that_of_the_whole():
    """With statistics that do not depend on the part."""
    states = []
    for parts in (1, 2):
        learner = make("simclr")
        learner.num_parts = parts
        for module in learner.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.eval()
        training_step(learner, Fixed())(0)
        states.append(learner.state_dict())
    for key, tensor in states[0].items():
        torch.testing.assert_close(states[1][key], tensor, msg=key)


@pytest.mark.parametrize("clip", [1e-3, 1e3])
def test_a_gradient_that_is_too_long_is_shortened(clip):
    learner = make("simclr")
    clipped = copy.deepcopy(learner)
    before = torch.cat([p.detach().flatten().clone() for p in learner.parameters()])
    for one, longest in ((learner, None), (clipped, clip)):
        training_step(one, Fixed(), epsilon=None, clip=longest)(0)
    whole, short = (torch.cat([p.detach().flatten() for p in one.parameters()]) - before for one in (learner, clipped))
    length = whole.norm().item() / LEARNING_RATE  # of SGD's first step
    expected = whole * min(1, clip / length)
    torch.testing.assert_close(short, expected, rtol=1e-4, atol=1e-12)
    assert (length > clip) == (clip == 1e-3)


class Told(Fixed):
    """Keeps the scale of the loss, and the gradient at its samples without it."""

    def __init__(self):
        super().__init__(learning=True)
        self.scales, self.gradients = [], []

    def feedback(self, step, batch, output, learner, *, loss_scale=None):
        self.scales.append(loss_scale)
        self.gradients.append(unscaled(self.leaf.grad, loss_scale))
        self.leaf.grad = None
        return super().feedback(step, batch, output, learner)


class Listening(Fixed):
    """In float32; tells whether its feedback is under autocast."""

    def batch(self, step, learner):
        whole = super().batch(step, learner)
        return dataclasses.replace(whole, views=whole.views.float())

    def feedback(self, step, batch, output, learner, *, loss_scale=None):
        return super().feedback(step, batch, output, learner) | {"cast": torch.is_autocast_enabled("cpu")}


def test_the_regimes_own_passes_are_not_under_the_learners_autocast():
    learner, seen = make("simclr").float(), []
    learner.backbone.register_forward_hook(lambda *_: seen.append(torch.is_autocast_enabled("cpu")))
    accelerator = create_accelerator("bf16")
    prepared, optimizer = accelerator.prepare(learner, torch.optim.SGD(learner.parameters(), lr=LEARNING_RATE))
    metrics = TrainingStep(accelerator, prepared, optimizer, Schedule(LEARNING_RATE, 0, 10**9), Listening())(0)
    assert seen == [True] and not metrics["cast"]


@pytest.mark.parametrize("clip", [None, 1e-2])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_scaled_loss_changes_nothing_and_its_scale_is_told(monkeypatch, optimizer, clip):
    """As in fp16, whose scaler is the same on a CPU. It doubles the scale after each two steps."""
    monkeypatch.setattr(AcceleratorState, "mixed_precision", property(lambda self: "fp16" if scaled else "no"))
    recipe = dataclasses.replace(OPTIMIZERS[optimizer], base_learning_rate=0.01)
    runs = []
    for scaled in (False, True):
        learner, regime, accelerator = make("simclr"), Told(), create_accelerator("fp32")
        monkeypatch.setattr(accelerator, "autocast", contextlib.nullcontext)
        if scaled:
            monkeypatch.setattr(accelerator, "native_amp", True)
            accelerator.scaler = torch.amp.GradScaler("cpu", init_scale=1024.0, growth_interval=2)
        prepared, made = accelerator.prepare(learner, create_optimizer(learner, recipe))
        one = TrainingStep(accelerator, prepared, made, Schedule(0.01, 0, 10**9), regime, None, clip)
        losses = [one(step)["loss"].item() for step in range(4)]
        runs.append((losses, regime.gradients, list(learner.parameters())))
    torch.testing.assert_close(*runs)
    assert [scale.item() for scale in regime.scales] == [1024, 1024, 2048, 2048]
    assert regime.gradients[0].abs().max() > 0


@pytest.mark.parametrize("distributed", [False, True])
@pytest.mark.parametrize("compiled", [False, True])
def test_the_state_has_the_same_names_whatever_the_learner_is_wrapped_in(tmp_path, compiled, distributed):
    learner, accelerator = make("simclr"), create_accelerator("fp32")
    wrapped = torch.compile(learner) if compiled else learner
    if distributed:
        dist.init_process_group("gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1)
        wrapped = DistributedDataParallel(wrapped)
    try:
        optimizer = torch.optim.SGD(learner.parameters(), lr=LEARNING_RATE)
        one = TrainingStep(accelerator, wrapped, optimizer, Schedule(LEARNING_RATE, 0, 10**9), Fixed())
        assert one.inner is learner and one.parts["learner"] is learner
    finally:
        if distributed:
            dist.destroy_process_group()


def test_over_a_training_the_rates_of_all_groups_and_the_part_done_follow_the_schedule(monkeypatch):
    """Two steps of warm-up, to the rate of a batch of 64, then half a cosine."""
    chosen = TrainConfig(
        data="digits", out="x", steps=20, batch_size=64, warmup_epochs=0.5, learning_rate=0.8, decay_norms=False
    )
    learner, rates, told = make("simclr"), [], []
    monkeypatch.setattr(learner, "after_step", told.append)
    one = prepare(chosen, create_accelerator("fp32"), learner, Fixed(), make_schedule(chosen, learner, 4, 20))

    def watch(optimizer, *_):
        rates.append([group["lr"] for group in optimizer.param_groups])

    one.optimizer.optimizer.register_step_pre_hook(watch)
    logged = [one(step)["learning_rate"] for step in range(20)]
    expected = [0.1, 0.2, *(0.1 * (1 + math.cos(math.pi * i / 18)) for i in range(18))]
    groups = list(zip(*rates, strict=True))
    assert len(groups) > 1
    for found in (logged, *groups):
        assert found == pytest.approx(expected)
    assert told == pytest.approx([done / 20 for done in range(1, 21)])


def test_two_processes_are_one(tmp_path):
    command = [sys.executable, str(Path(__file__).with_name("step_ranks_worker.py"))]
    workers = [subprocess.Popen([*command, str(rank), str(tmp_path)], stderr=subprocess.PIPE) for rank in range(2)]
    try:
        errors = [worker.communicate(timeout=300)[1].decode() for worker in workers]
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()
    assert [worker.returncode for worker in workers] == [0, 0], "\n".join(errors)
    for rank in range(2):
        differences = json.loads((tmp_path / f"{rank}.json").read_text())
        assert differences and max(differences.values()) < 1e-9

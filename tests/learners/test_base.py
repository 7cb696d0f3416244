"""What every registered learner does, whatever its method: a new one is tested by being registered.

The documented learner of one's own, examples/custom_learner.py, does so too.
"""

import copy
import sys
from pathlib import Path

import pytest
import torch

from synthcl.learners import Learner, create_backbone, create_learner, learner_names

GROUPS = torch.tensor([10, 11, 12, 13, 10, 11, 12, 13, 30, 31, 30, 31, 30, 31, 30, 31])  # four of two, two of four
EXAMPLES = Path(__file__).parents[2] / "examples"
EVERY_LEARNER = pytest.mark.parametrize("name", [*learner_names(), "custom_learner:AlignUniform"])


@pytest.fixture(autouse=True)
def example(monkeypatch):
    """The example where Python finds it, for one test; no module is left behind."""
    monkeypatch.syspath_prepend(EXAMPLES)
    yield
    sys.modules.pop("custom_learner", None)


def make(name: str, *, seed: int = 0, **options) -> Learner:
    torch.manual_seed(seed)
    backbone = create_backbone("resnet10-w8", image_size=8)
    return create_learner(name, backbone, **{"hidden_dim": 32, "embedding_dim": 16, **options})


def images(seed: int = 0, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.randn(len(GROUPS), 3, 8, 8, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def step(learner: Learner, views: torch.Tensor, groups: torch.Tensor, *, learning_rate: float = 0.05) -> float:
    """One step of plain SGD."""
    learner.zero_grad()
    loss = learner(views, groups).loss
    loss.backward()
    with torch.no_grad():
        for parameter in learner.parameters():
            if parameter.grad is not None:
                parameter -= learning_rate * parameter.grad
    learner.after_step(0.5)
    return loss.item()


@EVERY_LEARNER
def test_the_output_is_a_loss_its_shares_and_unit_embeddings(name):
    loss, hardness, embeddings = make(name)(images(), GROUPS)
    assert loss.shape == ()
    assert loss.isfinite()
    assert loss.requires_grad
    assert hardness.shape == (16,)
    assert not hardness.requires_grad
    torch.testing.assert_close(hardness.mean(), loss.detach())
    assert hardness.std() > 0
    assert embeddings.shape == (16, 16)
    assert not embeddings.requires_grad
    torch.testing.assert_close(embeddings.norm(dim=1), torch.ones(16))


@EVERY_LEARNER
def test_the_gradient_reaches_every_weight_and_every_view(name):
    learner, views = make(name), images().requires_grad_()
    learner(views, GROUPS).loss.backward()
    for parameter_name, parameter in learner.named_parameters():
        assert (parameter.grad is not None) == parameter.requires_grad, parameter_name
    for parameter_name, parameter in learner.backbone.named_parameters():
        assert parameter.grad.abs().sum() > 0, parameter_name
    assert (views.grad.abs().sum(dim=(1, 2, 3)) > 0).all()


@EVERY_LEARNER
def test_a_state_dict_is_all_that_a_step_depends_on(name):
    learner = make(name)
    step(learner, images(1), GROUPS)
    resumed = make(name, seed=1)
    resumed.load_state_dict({key: tensor.clone() for key, tensor in learner.state_dict().items()})
    for seed in (2, 3):
        assert step(resumed, images(seed), GROUPS) == step(learner, images(seed), GROUPS)
    for key, tensor in learner.state_dict().items():
        assert torch.equal(resumed.state_dict()[key], tensor), key


@EVERY_LEARNER
def test_the_order_of_the_groups_in_the_batch_does_not_matter(name):
    learner, views = make(name).double(), images(dtype=torch.float64)
    other = copy.deepcopy(learner)
    order = GROUPS.argsort(descending=True, stable=True)
    for _ in range(2):  # the second after a step, so that a queue's order would tell
        output, permuted = learner(views, GROUPS), other(views[order], GROUPS[order])
        torch.testing.assert_close(permuted.loss, output.loss)
        torch.testing.assert_close(permuted.hardness, output.hardness[order])
        learner.after_step(0.5)
        other.after_step(0.5)
    for key, tensor in learner.state_dict().items():
        torch.testing.assert_close(other.state_dict()[key], tensor)


@EVERY_LEARNER
def test_in_eval_mode_nothing_changes(name):
    learner = make(name).eval()
    before = {key: tensor.clone() for key, tensor in learner.state_dict().items()}
    learner(images(), GROUPS)
    learner.after_step(1.0)
    for key, tensor in learner.state_dict().items():
        torch.testing.assert_close(tensor, before[key], rtol=0, atol=1e-7)


@EVERY_LEARNER
def test_it_runs_in_bfloat16_with_a_loss_in_float32(name):
    learner = make(name)
    expected = copy.deepcopy(learner)(images(), GROUPS).loss
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss, hardness, embeddings = learner(images(), GROUPS)
    loss.backward()
    learner.after_step(0.5)
    assert loss.dtype == hardness.dtype == embeddings.dtype == torch.float32
    torch.testing.assert_close(loss, expected, rtol=0.1, atol=0.1)
    assert all(p.grad.isfinite().all() for p in learner.parameters() if p.requires_grad)


@EVERY_LEARNER
def test_it_runs_in_channels_last(name):
    learner = make(name).double()
    views = images(dtype=torch.float64)
    expected = copy.deepcopy(learner)(views, GROUPS).loss
    learner.to(memory_format=torch.channels_last)
    torch.testing.assert_close(learner(views.to(memory_format=torch.channels_last), GROUPS).loss, expected)


@EVERY_LEARNER
def test_the_loss_of_a_separable_problem_falls(name):
    # A queue's first keys are random; with one that a step fills, the losses after the first step are comparable.
    learner = make(name, **({"queue_size": 16} if name == "moco" else {}))
    patterns = torch.randn(32, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    losses = []
    for i in range(30):
        noise = torch.randn(16, 3, 8, 8, generator=torch.Generator().manual_seed(i))
        losses.append(step(learner, patterns[GROUPS] + noise, GROUPS))
    assert sum(losses[-5:]) < sum(losses[1:6])

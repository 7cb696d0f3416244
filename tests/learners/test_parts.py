"""A batch in parts: the loss, the gradients and the state of the whole, with less kept for the backward pass."""

import copy

import pytest
import torch
from torch import nn

from synthcl.learners import create_backbone, create_learner, learner_names
from synthcl.learners.parts import encode_in_parts

GROUPS = torch.cat((torch.arange(8).repeat_interleave(2), torch.arange(8, 12).repeat_interleave(4)))
VIEWS = torch.randn(len(GROUPS), 3, 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


class Smooth(nn.Module):
    """Without batch statistics, so that parts are the whole up to rounding."""

    num_features = 16

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.Softplus(), nn.Flatten(), nn.Linear(8 * 16, 16))

    def forward(self, images):
        return self.net(images)


def results_of_two_steps(name, num_parts):
    torch.manual_seed(0)
    options = {"hidden_dim": 24, "embedding_dim": 12} | ({"queue_size": 40} if name == "moco" else {})
    learner = create_learner(name, Smooth(), **options).double()
    learner.num_parts = num_parts
    results = {}
    for step in range(2):
        views = VIEWS.clone().requires_grad_()
        learner.zero_grad()
        output = learner(views, GROUPS)
        output.loss.backward()
        results |= {f"{key} {step}": value.detach() for key, value in output._asdict().items()}
        results |= {f"gradient of views {step}": views.grad}
        for key, parameter in learner.named_parameters():
            if parameter.requires_grad:
                results[f"gradient {step} of {key}"] = parameter.grad.clone()
                parameter.data -= 0.05 * parameter.grad
        learner.after_step(0.5)
    return results | dict(learner.state_dict())


@pytest.mark.parametrize("name", learner_names())
def test_parts_are_the_whole_batch(name):
    whole, parts = results_of_two_steps(name, 1), results_of_two_steps(name, 4)
    assert whole["gradient of views 0"].abs().max() > 0
    for key, expected in whole.items():
        torch.testing.assert_close(parts[key], expected, rtol=1e-9, atol=1e-11, msg=key)


def test_batch_statistics_are_of_a_part_and_noted_once():
    """The reference passes the parts through one after the other, without checkpoints."""
    torch.manual_seed(0)
    backbone = create_backbone("resnet10-w8", image_size=8).double()
    reference = copy.deepcopy(backbone)
    views, plain = VIEWS.clone().requires_grad_(), VIEWS.clone().requires_grad_()
    features = encode_in_parts(backbone, views, GROUPS, 2)
    expected = torch.empty_like(features)
    for part in range(2):
        rows = (GROUPS % 2 - part == 0).nonzero().flatten()
        expected[rows] = reference(plain[rows])
    weight = torch.randn(features.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    (features * weight).sum().backward()
    (expected * weight).sum().backward()
    torch.testing.assert_close(features, expected, rtol=1e-12, atol=0)
    torch.testing.assert_close(views.grad, plain.grad, rtol=1e-9, atol=1e-12)
    for (key, mine), theirs in zip(backbone.named_parameters(), reference.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, theirs.grad, rtol=1e-9, atol=1e-10, msg=key)
    for (key, mine), theirs in zip(backbone.named_buffers(), reference.buffers(), strict=True):
        assert torch.equal(mine, theirs), key
    assert {int(n) for key, n in backbone.named_buffers() if key.endswith("num_batches_tracked")} == {2}


class Seen(nn.Module):
    """Keeps the first number of each view, part by part."""

    def __init__(self):
        super().__init__()
        self.parts = []

    def forward(self, views):
        self.parts.append(views[:, 0, 0, 0].long().tolist())
        return views.flatten(1)


def parts_of(groups, num_real, num_processes=1):
    """Which views, by their place in the whole batch, go through a backbone together, in two parts."""
    together = [set(), set()]
    for rank in range(num_processes):
        mine = (groups * num_processes // (groups[:num_real].max() + 1) == rank).nonzero().flatten()
        views = mine.double()[:, None, None, None].expand(-1, 3, 2, 2)
        backbone = Seen()
        found = encode_in_parts(backbone, views, groups[mine], 2, int((mine < num_real).sum()))
        assert torch.equal(found, views.flatten(1))
        for part, seen in zip(together, backbone.parts, strict=True):
            part |= set(seen)
    return together


@pytest.mark.parametrize("every", [1, 2, 4])
def test_variations_of_some_images_are_in_all_parts_alike_in_any_number_of_processes(every):
    """Eight real images of two views, and two views of a variation of each, of every other one, or of each fourth."""
    groups, num_real = torch.cat((torch.arange(8), torch.arange(0, 8, every))).repeat_interleave(2), 16
    whole = parts_of(groups, num_real)
    assert [sum(view < num_real for view in part) for part in whole] == [8, 8]
    assert [sum(view >= num_real for view in part) for part in whole] == [8 // every] * 2
    if every < 4:  # four images each have a variation of their own to a part
        assert parts_of(groups, num_real, num_processes=2) == whole


def bytes_kept(num_parts):
    backbone, kept = create_backbone("resnet10-w8", image_size=8).double(), 0

    def keep(tensor):
        nonlocal kept
        kept += tensor.nbytes if tensor.numel() >= len(GROUPS) * 64 // num_parts else 0  # activations, not weights
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        encode_in_parts(backbone, VIEWS.clone().requires_grad_(), GROUPS, num_parts)
    return kept


def test_activations_of_parts_are_not_kept():
    assert bytes_kept(4) < bytes_kept(1) / 20


def test_parts_that_no_backward_pass_follows_are_not_computed_twice():
    backbone = Smooth()
    calls = []
    backbone.register_forward_hook(lambda *_: calls.append(1))
    with torch.no_grad():
        encode_in_parts(backbone.double(), VIEWS, GROUPS, 4)
    assert len(calls) == 4

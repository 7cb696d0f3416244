"""Batch normalisation over all ranks: torch's own on the whole batch. Gloo is in test_learner_ranks.py."""

import copy

import pytest
import torch
from torch import nn

from synthcl.learners.batchnorm import SyncBatchNorm, average_running_statistics, convert_sync_batchnorm

WORLD_SIZE = 3


def batch(*shape: int) -> torch.Tensor:
    return torch.randn(6, *shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64) + 100


@pytest.mark.parametrize(
    ("shape", "layout"),
    [
        ((4,), torch.contiguous_format),
        ((4, 5), torch.contiguous_format),
        ((4, 2, 3), torch.contiguous_format),
        ((4, 2, 3), torch.channels_last),
    ],
)
@pytest.mark.parametrize("momentum", [0.3, None])
@pytest.mark.parametrize("affine", [True, False])
def test_ranks_normalise_as_one_process_does(in_ranks, shape, momentum, affine, layout):
    kind = {1: nn.BatchNorm1d, 2: nn.BatchNorm1d, 3: nn.BatchNorm2d}[len(shape)]
    reference = kind(4, momentum=momentum, affine=affine).double()
    whole = batch(*shape).contiguous(memory_format=layout).requires_grad_()
    if affine:
        nn.init.normal_(reference.weight)
    before = copy.deepcopy(reference)
    weights = batch(*shape).square()

    def function(rank):
        module, x = convert_sync_batchnorm(copy.deepcopy(before)), whole.detach()[2 * rank :][:2].requires_grad_()
        assert isinstance(module, SyncBatchNorm)
        for _ in range(2):
            output = module(x)
        (weights[2 * rank :][:2] * output).sum().backward()
        return output.detach(), x.grad, [p.grad for p in module.parameters()], dict(module.named_buffers())

    for _ in range(2):
        expected = reference(whole)
    (weights * expected).sum().backward()
    outputs, gradients, of_parameters, buffers = zip(*in_ranks(WORLD_SIZE, function), strict=True)
    torch.testing.assert_close(torch.cat(outputs), expected.detach())
    torch.testing.assert_close(torch.cat(gradients), whole.grad, rtol=1e-6, atol=1e-6)
    for parameter, parts in zip(reference.parameters(), zip(*of_parameters, strict=True), strict=True):
        torch.testing.assert_close(sum(parts), parameter.grad)
    for found in buffers:
        for name, buffer in reference.named_buffers():
            torch.testing.assert_close(found[name], buffer)


def test_in_eval_mode_the_statistics_of_training_serve(in_ranks):
    reference = nn.BatchNorm1d(4).double()
    reference(batch(4))
    reference.eval()
    kept = copy.deepcopy(reference)
    found = in_ranks(2, lambda rank: convert_sync_batchnorm(kept)(batch(4)[3 * rank :][:3]))
    torch.testing.assert_close(torch.cat(found), reference(batch(4)))
    assert torch.equal(kept.running_mean, reference.running_mean)


def test_conversion_keeps_names_and_the_very_parameters(in_ranks):
    net = nn.Sequential(nn.Linear(3, 4), nn.Sequential(nn.BatchNorm1d(4), nn.ReLU()), nn.BatchNorm1d(4, affine=False))
    before = net.state_dict(keep_vars=True)
    assert convert_sync_batchnorm(net) is net and type(net[2]) is nn.BatchNorm1d  # alone there is nothing to convert
    (converted, _) = in_ranks(2, lambda rank: convert_sync_batchnorm(net if rank == 0 else copy.deepcopy(net)))
    assert [type(module) for module in (converted[0], converted[1][0], converted[2])] == [
        nn.Linear, SyncBatchNorm, SyncBatchNorm,
    ]  # fmt: skip
    after = converted.state_dict(keep_vars=True)
    assert after.keys() == before.keys()
    assert all(after[key] is tensor for key, tensor in before.items())


def test_running_statistics_of_each_process_become_their_mean(in_ranks):
    untracked = nn.BatchNorm1d(4, track_running_stats=False)
    begun = nn.Sequential(nn.Linear(4, 4), nn.Sequential(nn.BatchNorm1d(4)), nn.BatchNorm1d(4), untracked).double()

    def train(rank):
        net = copy.deepcopy(begun)
        net(batch(4)[2 * rank :][:2])
        return net

    expected = [train(rank).state_dict() for rank in range(WORLD_SIZE)]

    def function(rank):
        net = train(rank)
        average_running_statistics(net)
        return net.state_dict()

    for found in in_ranks(WORLD_SIZE, function):
        for name, tensor in found.items():
            torch.testing.assert_close(tensor, sum(state[name] for state in expected) / WORLD_SIZE, check_dtype=False)
    alone = train(0)
    average_running_statistics(alone)
    assert all(tensor.equal(expected[0][name]) for name, tensor in alone.state_dict().items())


def test_running_statistics_over_all_processes_are_left(in_ranks):
    def function(rank):
        net = convert_sync_batchnorm(nn.Sequential(nn.BatchNorm1d(4)).double())
        net[0].running_mean.fill_(rank)  # as it never is
        average_running_statistics(net)
        return net[0].running_mean[0].item()

    assert in_ranks(WORLD_SIZE, function) == list(range(WORLD_SIZE))


def test_on_a_gpu_it_is_torchs(in_ranks):
    converted = in_ranks(2, lambda rank: convert_sync_batchnorm(nn.Sequential(nn.BatchNorm1d(4)), "cuda"))
    assert [type(net[0]) for net in converted] == [nn.SyncBatchNorm] * 2


def with_activations() -> nn.Module:
    """Layers of timm, whose forward pass goes on after the normalisation: as in efficientnet, and with parameters."""
    layer = pytest.importorskip("timm.layers").BatchNormAct2d
    torch.manual_seed(0)
    activated = [layer(4, act_layer=nn.SiLU), layer(4, act_layer=nn.PReLU, drop_layer=nn.Dropout2d)]
    return nn.Sequential(nn.Conv2d(4, 4, 1), *activated, layer(4, apply_act=False)).double()


def test_activations_of_timm_stay_over_ranks(in_ranks):
    whole, reference = batch(4, 2, 3), with_activations()
    reference[2].drop.eval()  # the same in every process

    def function(rank):
        module, x = convert_sync_batchnorm(copy.deepcopy(reference)), whole[2 * rank :][:2].clone().requires_grad_()
        output = module(x)
        output.square().sum().backward()
        return output.detach(), x.grad, module.state_dict().keys()

    outputs, gradients, names = zip(*in_ranks(WORLD_SIZE, function), strict=True)
    whole.requires_grad_()
    expected = reference(whole)
    expected.square().sum().backward()
    torch.testing.assert_close(torch.cat(outputs), expected.detach())
    torch.testing.assert_close(torch.cat(gradients), whole.grad, rtol=1e-6, atol=1e-6)
    assert all(found == reference.state_dict().keys() for found in names)


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_activations_of_timm_stay_on_every_device(in_ranks, device):
    reference = with_activations().eval()
    before = reference.state_dict(keep_vars=True)
    net = copy.deepcopy(reference)
    kept = net.state_dict(keep_vars=True)
    (converted, _) = in_ranks(2, lambda rank: convert_sync_batchnorm(net if rank == 0 else with_activations(), device))
    kind = nn.SyncBatchNorm if device == "cuda" else SyncBatchNorm
    assert all(isinstance(layer, kind) for layer in converted[1:])
    torch.testing.assert_close(converted(batch(4, 2, 3)), reference(batch(4, 2, 3)))
    after = converted.state_dict(keep_vars=True)
    assert list(after) == list(before) and all(after[name] is tensor for name, tensor in kept.items())


def test_a_batch_without_a_channel_is_refused():
    with pytest.raises(ValueError, match=r"expected at least 2 dimensions \(N, C, ...\), got 1"):
        SyncBatchNorm(4)(torch.zeros(4))

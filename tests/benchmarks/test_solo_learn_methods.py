"""The rival after solo-learn's recipe computes the losses that its papers have."""

import importlib
from pathlib import Path

import pytest
import torch
from torch.nn import functional

from synthcl.learners import create_backbone

N = 4


@pytest.fixture
def methods(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))
    return importlib.import_module("solo_learn_methods")


@pytest.fixture
def views():
    return torch.randn(2, N, 3, 16, 16, generator=torch.Generator().manual_seed(1))


def make(method):
    torch.manual_seed(0)
    return method(create_backbone("resnet10-w8", image_size=16))


def test_simclr_is_cross_entropy_over_all_other_views(methods, views):
    method = make(methods.SoloSimCLR).eval()  # batch statistics would depend on how views are passed
    embedded = functional.normalize(method.projector(method.backbone(views.flatten(0, 1))), dim=-1)
    logits = embedded @ embedded.T / 0.2
    logits.fill_diagonal_(-torch.inf)  # arXiv 2002.05709, equation 1
    expected = functional.cross_entropy(logits, (torch.arange(2 * N) + N) % (2 * N))
    torch.testing.assert_close(method(*views), expected)


def test_moco_takes_keys_of_the_other_view_and_keeps_them(methods, views):
    method = make(lambda backbone: methods.SoloMoCo(backbone, queue_size=4 * N))
    queues = method.queues.clone()
    with torch.no_grad():
        queries = [functional.normalize(method.projector(method.backbone(v)), dim=-1) for v in views]
        keys = [functional.normalize(method.slow(v), dim=-1) for v in views]  # as fast as the other, before a step
    terms = []
    for query, key, queue in ((queries[0], keys[1], queues[1]), (queries[1], keys[0], queues[0])):
        for one, own in zip(query, key, strict=True):  # arXiv 1911.05722, equation 1
            scores = torch.cat([(one @ own)[None], queue @ one]) / 0.2
            terms.append(scores.logsumexp(0) - scores[0])
    torch.testing.assert_close(method(*views), torch.stack(terms).mean(), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(method.queues[:, :N], torch.stack(keys), rtol=1e-4, atol=1e-4)
    assert torch.equal(method.queues[:, N:], queues[:, N:]) and method.position == N
    method(*views)
    assert method.position == 0
    with pytest.raises(ValueError, match="evenly"):
        method(*torch.randn(2, 3 * N, 3, 16, 16))


@pytest.mark.parametrize("name", ["simclr", "moco"])
def test_it_makes_two_views_and_learns(methods, name):
    from PIL import Image

    method = make(methods.SOLO_LEARN[name])
    pictures = [Image.new("RGB", (16, 16), (shade, 90, 30)) for shade in (0, 80, 160, 240)]
    made = [method.transform(16)(picture) for picture in pictures]
    method(*(torch.stack([pair[i] for pair in made]) for i in (0, 1))).backward()
    assert any(p.grad is not None and p.grad.any() for p in method.backbone.parameters())

"""The documented learner of one's own: its loss against the formula, and the commands with it."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from torch import nn

from synthcl.learners.base import SyntheticTerms

EXAMPLE = Path(__file__).parents[2] / "examples" / "custom_learner.py"


class Backbone(nn.Flatten):
    num_features = 12


@pytest.fixture(scope="module")
def example():
    spec = importlib.util.spec_from_file_location("custom_learner", EXAMPLE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def naive_losses(embeddings, groups, weight, bandwidth):
    losses = []
    for z, group in zip(embeddings, groups, strict=True):
        distances = (embeddings - z).square().sum(dim=1)
        same = groups == group
        alignment = distances[same].sum() / (same.sum() - 1)
        losses.append(alignment + weight * torch.exp(-bandwidth * distances[~same]).mean().log())
    return torch.stack(losses)


def test_the_loss_is_alignment_and_uniformity(example):
    torch.manual_seed(0)
    learner = example.AlignUniform(Backbone(), hidden_dim=8, embedding_dim=4, uniformity_weight=0.7, bandwidth=3.0)
    learner, views = learner.double(), torch.randn(10, 3, 2, 2, dtype=torch.float64)
    groups = torch.tensor([4, 5, 6, 4, 5, 6, 9, 9, 9, 9])
    loss, hardness, embeddings = learner(views, groups, 6)
    expected = naive_losses(embeddings, groups, 0.7, 3.0)
    torch.testing.assert_close(hardness, expected)
    torch.testing.assert_close(loss.detach(), expected.mean())
    torch.testing.assert_close(embeddings, learner.embed(views).detach())

    learner.synthetic = SyntheticTerms(weight=0.5)
    weighted = expected[:6].mean() + 0.5 * expected[6:].mean()
    torch.testing.assert_close(learner(views, groups, 6).loss.detach(), weighted)


def test_the_script_trains_it_and_the_ordinary_commands_take_the_run(tmp_path):
    # A process of its own: the learner must be in the table before options are read.
    command = [sys.executable, EXAMPLE, "train", "--data", "digits", "--learner", "align-uniform", "--steps", 20]
    command += ["--batch-size", 32, "--backbone", "resnet10-w8", "--out", tmp_path / "run", "--json"]
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["learner"] == "align-uniform"

    from synthcl.cli import main

    probe = CliRunner().invoke(main, ["eval", "knn", str(tmp_path / "run"), "--data", "digits", "--json"])
    assert probe.exit_code == 0, probe.output
    assert json.loads(probe.stdout)["top1"] > 0.5

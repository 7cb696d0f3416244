"""The documented learner of one's own: its loss against the formula, and the commands with it."""

import importlib.util
import json
import sys
from pathlib import Path

import pytest
import torch
import yaml
from click.testing import CliRunner
from torch import nn

from synthcl.cli import main
from synthcl.learners import Learner, LearnerOutput, OptimizerRecipe, check_learner
from synthcl.learners.base import SyntheticTerms
from synthcl.learners.custom import TrialBackbone, check_contract
from synthcl.learners.dino import DINO
from synthcl.learners.precision import unit_length
from synthcl.learners.supcon import SupCon

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


TRAIN = ["train", "--data", "digits", "--learner", "custom_learner:AlignUniform", "--batch-size", "32"]
TRAIN += ["--backbone", "resnet10-w8", "--learner-option", "bandwidth=3", "--learner-option", "hidden-dim=64"]


def call(*arguments, code=0):
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exit_code == code, result.output
    return result


def test_the_commands_take_it_and_its_options(tmp_path, monkeypatch):
    monkeypatch.chdir(EXAMPLE.parent)
    run = tmp_path / "run"
    made = json.loads(call(*TRAIN, "--steps", 20, "--out", run, "--json").stdout)
    assert made["learner"] == "custom_learner:AlignUniform"
    saved = yaml.safe_load((run / "config.yaml").read_text())
    assert saved["learner_option"] == {"bandwidth": 3.0, "hidden_dim": 64}
    again = call(*TRAIN, "--steps", 20, "--out", run, "--json")
    assert json.loads(again.stdout) == made
    other = call(*TRAIN, "--learner-option", "bandwidth=2", "--steps", 20, "--out", run, code=2)
    assert "--learner-option" in other.stderr and "bandwidth" in other.stderr

    # What is done with a run needs the encoder alone, and not the class.
    monkeypatch.chdir(tmp_path)
    assert json.loads(call("eval", "knn", run, "--data", "digits", "--json").stdout)["top1"] > 0.5
    assert json.loads(call("runs", "show", run, "--json").stdout)["learner"] == "custom_learner:AlignUniform"
    call("export", run, "--out", tmp_path / "encoder")
    assert "custom_learner:AlignUniform" in (tmp_path / "encoder" / "README.md").read_text()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--learner", "custom_learner:Align"], "the module custom_learner has no Align"),
        (["--learner", "no_such_module:Align"], "no module 'no_such_module', for the learner no_such_module:Align"),
        (["--learner", "custom_learner:OptimizerRecipe"], "must be a subclass of synthcl.learners.Learner"),
        (["--learner", "synthcl.learners:Learner"], "lacks embed, forward, which every learner has"),
        (["--learner", "align"], "'align' is not known"),
        (["--learner", "a:b:c"], "or package.module:Class"),
        (["--learner-option", "bandwith=1"], "no option 'bandwith' (did you mean 'bandwidth'?)"),
        (["--learner-option", "bandwidth=wide"], "--learner-option bandwidth takes a number, not 'wide'"),
        (["--learner-option", "bandwidth=-1"], "bandwidth must be above 0, not -1.0"),
    ],
)
def test_what_cannot_be_taken_is_refused_before_anything_is_done(tmp_path, monkeypatch, options, message):
    monkeypatch.chdir(EXAMPLE.parent)
    refused = call(*TRAIN, *options, "--steps", 1, "--out", tmp_path / "run", "--dry-run", code=2)
    assert message in " ".join(refused.stderr.split())


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty working directory, whose modules are forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    for name in ("late_learner", "learner_neighbour"):
        sys.modules.pop(name, None)


def test_a_class_finds_the_modules_beside_it_after_its_import_too(folder):
    lines = [
        f"from {__name__} import Sound",
        "class Late(Sound):",
        "    def embed(self, views):",
        "        import learner_neighbour",
        "        return learner_neighbour.unchanged(super().embed(views))",
    ]
    (folder / "late_learner.py").write_text("\n".join(lines))
    (folder / "learner_neighbour.py").write_text("def unchanged(embeddings): return embeddings")
    for _ in range(2):
        check_learner("late_learner:Late")
    assert sys.path.count(str(folder)) == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("def (", r"SyntaxError: .*failing_learner.py, line 1"),
        ("from collections import NoSuch", "ImportError: cannot import name 'NoSuch'"),
        ("raise RuntimeError('no licence')", "RuntimeError: no licence"),
    ],
)
def test_a_module_that_fails_is_named_with_what_it_raised(folder, content, message):
    (folder / "failing_learner.py").write_text(content)
    with pytest.raises(ValueError, match=f"failing_learner:Mine could not be imported: {message}"):
        check_learner("failing_learner:Mine")


class Sound(Learner):
    recipe = OptimizerRecipe(base_learning_rate=0.1, weight_decay=0.0, source="a test")

    def __init__(self, backbone, **common):
        super().__init__(**common)
        self.backbone = backbone

    def embed(self, views):
        return unit_length(self.backbone(views))

    def forward(self, views, groups, num_real=None):
        embeddings = self.embed(views)
        losses = embeddings.sum(dim=1)
        return LearnerOutput(losses.mean(), losses.detach(), embeddings.detach())


def output_of(**changed):
    """A learner whose output is not what it should be in one respect."""
    return {"forward": lambda self, *inputs: Sound.forward(self, *inputs)._replace(**changed)}


UNSOUND = {
    "loss of each view": (output_of(loss=torch.ones(6, requires_grad=True)), "the loss of Broken must be one finite"),
    "loss without number": (output_of(loss=torch.tensor(float("nan"))), "must be one finite number"),
    "loss without gradient": (output_of(loss=torch.tensor(1.0)), "no gradient goes from the loss of Broken"),
    "gradient elsewhere": (output_of(loss=torch.ones((), requires_grad=True)), "no gradient goes from the loss"),
    "one hardness": (output_of(hardness=torch.tensor(1.0)), "hardness of Broken must be one number for each view"),
    "long embeddings": (output_of(embeddings=torch.full((6, 4), 2.0)), "Broken.forward must give embeddings"),
    "embed": ({"embed": lambda self, views: self.backbone(views) * 9}, "Broken.forward must give embeddings"),
    "a tuple": ({"forward": lambda self, *inputs: (1, 2, 3)}, "must give a LearnerOutput, not a tuple"),
    "no backbone": ({"__init__": lambda self, backbone, **c: Learner.__init__(self, **c)}, "self.backbone"),
}


@pytest.mark.parametrize(("members", "message"), UNSOUND.values(), ids=UNSOUND.keys())
def test_a_class_that_breaks_the_contract_is_told_where(members, message):
    check_contract(Sound(TrialBackbone()))
    with pytest.raises(ValueError, match=message):
        check_contract(type("Broken", (Sound,), members)(TrialBackbone()))


class Labelled(Sound):
    """It takes labels, as one with `uses_labels` is to, and needs them."""

    uses_labels = True

    def forward(self, views, groups, num_real=None, *, labels):
        assert labels.shape == groups.shape and labels.dtype == torch.int64
        return super().forward(views, groups, num_real)


UNTAKEN = {
    "no labels": ({"uses_labels": True}, "must take views, groups, num_real, labels, and .*unexpected.*'labels'"),
    "no local views": ({"takes_local_views": True}, "must take views, groups, num_real, local, and .*'local'"),
    "no groups": ({"forward": lambda self, views: None}, "must take views, groups, num_real, and .*too many"),
    "labels unsaid": ({"forward": Labelled.forward}, "must take views, groups, num_real, and .*missing.*'labels'"),
}


@pytest.mark.parametrize(("members", "message"), UNTAKEN.values(), ids=UNTAKEN.keys())
def test_a_class_is_told_what_its_forward_must_take(members, message):
    with pytest.raises(ValueError, match=f"Broken.forward {message}"):
        check_contract(type("Broken", (Sound,), members)(TrialBackbone()))


@pytest.mark.parametrize("kind", [Labelled, SupCon, DINO])
def test_what_a_class_says_it_takes_is_what_it_gets(kind):
    check_contract(kind(TrialBackbone()))


def test_a_class_that_takes_no_common_options_is_told(monkeypatch):
    class Narrow(Sound):
        def __init__(self, backbone):
            super().__init__(backbone)

    monkeypatch.setattr(sys.modules[__name__], "Narrow", Narrow, raising=False)
    monkeypatch.setitem(sys.modules, "narrow_learner", sys.modules[__name__])
    with pytest.raises(ValueError, match=r"narrow_learner:Narrow could not be made: .*num_parts"):
        check_learner("narrow_learner:Narrow")


def test_checking_leaves_the_random_numbers_as_they_are():
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    check_learner("moco", queue_size=8, momentum=0.9)
    assert torch.equal(torch.rand(4), expected)

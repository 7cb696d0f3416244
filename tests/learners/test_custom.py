"""The documented learner of one's own: its loss against the formula, and the commands with it."""

import importlib.util
import json
import sys
from pathlib import Path

import pytest
import torch
import yaml
from click.testing import CliRunner
from stand_ins.own_learner import Sound
from torch import nn

from synthcl.cli import main
from synthcl.learners import check_learner, learner_options
from synthcl.learners.base import CommonOptions, SyntheticTerms
from synthcl.learners.custom import load_learner_class, source_hash
from synthcl.learners.registry import COMMON_OPTIONS, check_option_names

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
FRESH = ["--fresh", "--generator", "gan"]
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
        (["--learner", "custom_learner:Align"], f"the module custom_learner has no Align; it is {EXAMPLE}"),
        (["--learner", "custom_learner:Align"], ", and its learners are: AlignUniform"),
        (["--learner", "copy:Align"], "copy.py, and its learners are: none"),
        (["--learner", "custom_learner.py:Align"], "names a file; name its module, custom_learner:Align"),
        (["--learner", "custom-learner:Align"], "a module has letters, digits and _ in its name"),
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
    for name in ("custom_learner", "late_learner", "learner_neighbour", "unheeding_learner"):
        sys.modules.pop(name, None)


OWN_PARTS = """
from synthcl.learners import LearnerOutput
from synthcl.learners.precision import unit_length
from synthcl.learners.registry import COMMON_OPTIONS, check_option_names
from custom_learner import AlignUniform


class Unheeding(AlignUniform):
    def forward(self, views, groups, num_real=None):
        embeddings = self.embed(views)
        losses = (embeddings - unit_length(views.flatten(1).mean(1, keepdim=True))).square().sum(dim=1)
        return LearnerOutput(losses.mean(), losses.detach(), embeddings.detach())
"""


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--accumulate", 2], "--accumulate 2 does nothing with --learner unheeding_learner:Unheeding"),
        (["--separate-batchnorm", *FRESH], "--separate-batchnorm does nothing with --learner"),
        (["--synthetic-weight", 0.5, *FRESH], "--synthetic-weight 0.5 does nothing with --learner"),
    ],
)
def test_an_option_that_a_class_does_not_heed_is_refused(folder, monkeypatch, options, message):
    monkeypatch.syspath_prepend(EXAMPLE.parent)
    (folder / "unheeding_learner.py").write_text(OWN_PARTS)
    command = [*TRAIN, "--steps", 1, "--out", folder / "run", "--dry-run", "--learner", "unheeding_learner:Unheeding"]
    call(*command)
    call(*command, *(option for option in options if option in FRESH))
    assert message in " ".join(call(*command, *options, code=2).stderr.split())
    call(*command, *options, "--learner", "custom_learner:AlignUniform")


def test_a_run_goes_on_with_the_code_alone_that_it_began_with(folder):
    source = EXAMPLE.read_text()
    (folder / "late_learner.py").write_text(source)
    command = [*TRAIN, "--learner", "late_learner:AlignUniform", "--out", folder / "run", "--json"]
    first = json.loads(call(*command, "--steps", 2).stdout)
    sys.modules.pop("late_learner")
    (folder / "late_learner.py").write_text(source.replace("losses = alignment +", "losses = 2 * alignment +"))
    said = call(*command, "--steps", 4, code=1).stderr
    assert "--learner had code" in said and "going on would make a run of both" in said
    other = [*TRAIN, "--learner", "late_learner:AlignUniform", "--out", folder / "other", "--json", "--steps", 2]
    assert json.loads(call(*other).stdout)["learner_code"] != first["learner_code"]
    sys.modules.pop("late_learner")
    (folder / "late_learner.py").write_text(source)
    assert json.loads(call(*command, "--steps", 4).stdout)["learner_code"] == first["learner_code"]


def test_a_class_finds_the_modules_beside_it_after_its_import_too(folder):
    lines = [
        "from stand_ins.own_learner import Sound",
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


def test_the_source_of_its_module_tells_a_class_from_another(folder):
    found = []
    for line in ("x = 1", "x = 1", "x = 2"):
        (folder / "late_learner.py").write_text(
            f"from stand_ins.own_learner import Sound\nclass Late(Sound): pass\n{line}"
        )
        found.append(source_hash(load_learner_class("late_learner:Late")))
        sys.modules.pop("late_learner")
    assert found[0] == found[1] != found[2]
    assert source_hash(type("Typed", (Sound,), {"__module__": "__main__"})) != found[0]


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


def test_what_every_learner_takes_is_no_option_of_its_own(monkeypatch):
    class Spelt(Sound):
        def __init__(self, backbone, *, width: int = 3, num_parts=1, synthetic=None):
            super().__init__(backbone, num_parts=num_parts, synthetic=synthetic)

    monkeypatch.setattr(sys.modules[__name__], "Spelt", Spelt, raising=False)
    monkeypatch.setitem(sys.modules, "spelt_learner", sys.modules[__name__])
    assert learner_options("spelt_learner:Spelt") == {"width": 3}
    with pytest.raises(ValueError, match=r"has no option 'num_parts'. It has, with defaults: width"):
        check_option_names("spelt_learner:Spelt", ["num_parts"])
    assert set(COMMON_OPTIONS) == set(CommonOptions.__annotations__)


def test_what_a_constructor_raises_is_told(monkeypatch):
    class Forgetful(Sound):
        def __init__(self, backbone, **common):
            self.backbone = backbone

    monkeypatch.setattr(sys.modules[__name__], "Forgetful", Forgetful, raising=False)
    monkeypatch.setitem(sys.modules, "forgetful_learner", sys.modules[__name__])
    with pytest.raises(ValueError, match=r"forgetful_learner:Forgetful could not be made: AttributeError: .*__init__"):
        check_learner("forgetful_learner:Forgetful")

"""Options by name: every preset is one that its command takes, says what it is, and yields to what is given."""

import re

import pytest
import yaml
from click.testing import CliRunner

from synthcl.cli import main
from synthcl.learners import learner_names, learner_recipe
from synthcl.pipeline.configs.compare import CompareConfig
from synthcl.pipeline.configs.presets import HOME, find_options, preset_names, preset_summary
from synthcl.pipeline.configs.pretrain import PretrainConfig
from synthcl.pipeline.configs.train import TrainConfig
from synthcl.pipeline.errors import UsageError

CONFIGS = {"train": TrainConfig, "pretrain": PretrainConfig, "compare": CompareConfig}
NEEDED = {"compare": {"generator": "g"}}
SHARED = ["cifar10", "cifar10-16px", "digits"]
IMAGENET = {f"imagenet100-{learner}": learner for learner in learner_names()}
PRESETS = [(command, name) for command in CONFIGS for name in preset_names(command)]


def test_every_command_has_the_same_presets_and_train_one_of_each_learner_on_imagenet():
    assert {folder.name for folder in HOME.iterdir() if any(folder.glob("*.yaml"))} == set(CONFIGS)
    assert all(set(preset_names(command)) - set(IMAGENET) == set(SHARED) for command in CONFIGS)
    assert {command for command in CONFIGS for name in preset_names(command) if name in IMAGENET} == {"train"}
    assert set(IMAGENET) <= set(preset_names("train"))


@pytest.mark.parametrize(("command", "name"), PRESETS)
def test_a_preset_is_taken_and_says_how_it_is_used_and_what_came_out(command, name):
    file = find_options(command, name)
    values = yaml.safe_load(file.read_text())
    config = CONFIGS[command].from_values({"data": "d", **values, **NEEDED.get(command, {}), "out": "o"})
    assert config.to_dict().items() >= values.items()
    head = [line for line in file.read_text().splitlines() if line.startswith("#")]
    assert preset_summary(command, name).endswith(".")
    assert any(f"synthcl {command} --config {name} " in line for line in head)
    assert re.search(r"CPU core|GPU", " ".join(head))


@pytest.mark.parametrize(("name", "learner"), IMAGENET.items())
def test_a_recipe_of_imagenet_is_of_its_learner_and_another_than_that_of_cifar(name, learner):
    values = yaml.safe_load(find_options("train", name).read_text())
    config = TrainConfig.from_values({**values, "data": "d", "out": "o"})
    assert config.learner == learner
    recipe = learner_recipe(learner)
    ours = (recipe.optimizer, recipe.base_learning_rate, recipe.weight_decay, values.get("queue_size"))
    given = (values["optimizer"], values["learning_rate"], values["weight_decay"], None)
    assert given != ours or learner == "mocov3"  # whose recipe is one for both


def test_what_is_given_wins_over_the_preset():
    words = ["train", "--config", "cifar10", "--steps", "7", "--out", "o", "--dry-run"]
    printed = yaml.safe_load(CliRunner().invoke(main, words).stdout)
    assert (printed["data"], printed["steps"], printed["epochs"]) == ("cifar10", 7, None)
    assert printed["batch_size"] == 512


def test_a_file_of_that_name_comes_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "digits").write_text("data: mine\n")
    assert find_options("train", "digits").read_text() == "data: mine\n"
    (tmp_path / "cifar10").mkdir()  # as of the images
    assert find_options("train", "cifar10").parent.parent == HOME


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("cifar-10", r"neither a file nor a preset of train \(did you mean 'cifar10'\?\); its presets are cifar10, "),
        ("nothing", "--config nothing is neither a file nor a preset of train; its presets are cifar10, cifar10-16px"),
    ],
)
def test_an_unknown_name_is_answered_with_those_there_are(given, message):
    with pytest.raises(UsageError, match=message):
        find_options("train", given)


@pytest.mark.parametrize("command", CONFIGS)
def test_help_lists_them(command):
    text = " ".join(CliRunner().invoke(main, [command, "--help"]).stdout.split())
    more = ", imagenet100-LEARNER" if command == "train" else ""
    assert f"a preset (cifar10, cifar10-16px, digits{more})" in text

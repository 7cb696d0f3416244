"""`--learner-option`: what a learner's constructor takes, as types, from the command line, files and Python."""

import re
import shlex

import pytest
import yaml
from click.testing import CliRunner

from synthcl.cli import main
from synthcl.learners import learner_option_types
from synthcl.pipeline.configs.learner_options import OF_FLAGS
from synthcl.pipeline.configs.train import TrainConfig
from synthcl.pipeline.errors import UsageError
from synthcl.pipeline.options.config import command_line
from synthcl.pipeline.training.build import build_learner

COMMON = {"data": "digits", "out": "x", "steps": 1, "backbone": "resnet10-w8"}


def test_options_reach_the_learner_as_its_types():
    config = TrainConfig(**COMMON, learner="moco", learner_option={"momentum": "0.5", "hidden_dim": 16.0}, queue_size=8)
    assert config.learner_option == {"momentum": 0.5, "hidden_dim": 16}
    learner = build_learner(config, 8)
    assert (learner.momentum, learner.head[0].out_features, len(learner.queue)) == (0.5, 16, 8)


@pytest.mark.parametrize("name", OF_FLAGS)
def test_what_has_a_flag_is_an_option_of_a_learner_and_a_field(name):
    assert name in learner_option_types("moco") | learner_option_types("simclr")
    assert name in TrainConfig.__dataclass_fields__


WRONG = {
    "unknown": (
        "barlow",
        {"off_diagonal": 1},
        "barlow has no option 'off_diagonal' (did you mean 'off_diagonal_weight'",
    ),
    "of another learner": ("simclr", {"momentum": 1}, "It has, with defaults: hidden_dim (2048), embedding_dim (256)"),
    "of flags": ("supcon", {"width": 1}, "It has, with defaults: hidden_dim (2048), embedding_dim (256)."),
    "of every learner": ("moco", {"num_parts": 2}, "moco has no option 'num_parts'"),
    "type": ("moco", {"momentum": "high"}, "--learner-option momentum takes a number, not 'high'"),
    "no whole number": ("moco", {"hidden_dim": 2.5}, "--learner-option hidden_dim takes a whole number, not 2.5"),
    "range": ("moco", {"momentum": 2}, "momentum must be between 0 and 1, not 2"),
    "a flag": ("simclr", {"temperature": 2}, "this one has a flag of its own, --temperature"),
    "no learner": ("nowhere:Own", {"a": 2}, "no module 'nowhere'"),
}


@pytest.mark.parametrize(("learner", "given", "message"), WRONG.values(), ids=WRONG.keys())
def test_wrong_ones_get_a_sentence(learner, given, message):
    with pytest.raises(UsageError, match=re.escape(message)):
        TrainConfig(**COMMON, learner=learner, learner_option=given)


OTHERS = {
    "queue": ("simclr", {"queue_size": 10}, "--queue-size 10 is for --learner moco or nnclr; it cannot be given with "),
    "temperature": ("byol", {"temperature": 0.1}, "--temperature 0.1 is for --learner simclr or moco or mocov3 or nn"),
    "negatives": (
        "byol",
        {"shards": ["s"], "synthetic_negatives": False},
        "--no-synthetic-negatives is for --learner simclr or supcon; it cannot be given with --learner byol",
    ),
    "weight": (
        "barlow",
        {"shards": ["s"], "synthetic_weight": 0.5},
        "or simsiam, whose loss is a mean over views; it cannot be given with --learner barlow",
    ),
    "layers": ("simclr", {"layer_decay": 0.5}, "--layer-decay 0.5: layer-wise decay is for backbones of timm"),
}


@pytest.mark.parametrize(("learner", "given", "message"), OTHERS.values(), ids=OTHERS.keys())
def test_a_flag_for_another_learner_is_named_as_it_is_typed(learner, given, message):
    with pytest.raises(UsageError, match=re.escape(message)):
        build_learner(TrainConfig(**COMMON, learner=learner, **given), 8)


def test_none_is_a_value_where_the_learner_takes_it():
    given = {"final_momentum": None, "momentum": 1}
    assert TrainConfig(**COMMON, learner="moco", learner_option=given).learner_option == given
    with pytest.raises(UsageError, match="--learner-option momentum takes a number, not None"):
        TrainConfig(**COMMON, learner="moco", learner_option={"momentum": None})


def test_a_printed_command_has_them():
    given = {"final_momentum": None, "momentum": 1e-05, "hidden_dim": 16}
    config = TrainConfig(**COMMON, learner="moco", learner_option=given)
    words = shlex.split(command_line("train", config))
    assert "momentum=1.0e-05" in words and "final_momentum=null" in words
    assert yaml.safe_load(CliRunner().invoke(main, [*words[1:], "--dry-run"]).stdout) == config.to_dict()


def test_those_given_join_those_in_a_file(tmp_path):
    file = tmp_path / "c.yaml"
    file.write_text(
        yaml.safe_dump({**COMMON, "learner": "moco", "learner-option": {"hidden-dim": 16, "momentum": 0.5}})
    )
    words = ["train", "--config", str(file), "--learner-option", "momentum=0.7", "--dry-run"]
    printed = yaml.safe_load(CliRunner().invoke(main, words).stdout)
    assert printed["learner_option"] == {"hidden_dim": 16, "momentum": 0.7}


def test_a_record_is_read_without_the_users_class():
    values = TrainConfig(**COMMON).to_dict() | {"learner": "nowhere:Own", "learner_option": {"width": 3}}
    config = TrainConfig.of_run(values)
    assert (config.learner, config.learner_option) == ("nowhere:Own", {"width": 3})

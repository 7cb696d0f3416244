"""The model card states what the run's folder holds, and nothing that it does not."""

import json
import shlex

import pytest
import yaml
from click.testing import CliRunner

from synthcl.cli import main
from synthcl.pipeline.configs.train import TrainConfig
from synthcl.pipeline.exporting.card import model_card
from synthcl.pipeline.exporting.targets import TARGETS
from synthcl.pipeline.options.config import write_yaml

LOADING = "model = load()"


@pytest.fixture
def home(make_encoder, tmp_path):
    """A run's folder and its encoder; `home(name, to, **result)` is the card of its export."""

    def card(name="resnet10-w8", to="safetensors", size=8, options=None, run=None, evaluations=(), **result):
        encoder = make_encoder(tmp_path / "encoder", name, size)
        if options is not None:
            config = TrainConfig(data="digits", out=str(tmp_path), steps=30, **options)
            (tmp_path / "config.yaml").write_text(write_yaml(config.to_dict()))
            (tmp_path / "result.json").write_text(json.dumps(result))
            (tmp_path / "run.json").write_text(json.dumps(run or {}))
        (tmp_path / "evaluations").mkdir()
        for number, values in enumerate(evaluations):
            known = {"encoder_hash": encoder.weights_hash(), "top1_interval": [0.5, 0.7], "top1": 0.6}
            known |= {"task": "knn", "data": "digits:train", "test_data": "digits:test"}
            kept = known | {"scored_on_training_split": False} | values
            (tmp_path / "evaluations" / f"{number}.json").write_text(json.dumps(kept))
        return model_card(encoder, tmp_path, TARGETS[to](encoder), LOADING)

    return card


def rows(card: str) -> dict[str, str]:
    """The table of facts."""
    cells = [line.strip("| ").split(" | ") for line in card.splitlines() if line.startswith("| ")]
    return {row[0]: row[1] for row in cells if len(row) == 2}


def test_its_head_is_yaml_and_its_lines_load_the_model(home):
    card = home()
    head = yaml.safe_load(card.split("---")[1])
    assert head["library_name"] == "synthcl" and head["pipeline_tag"] == "image-feature-extraction"
    assert f"```python\n{LOADING}\n\n" in card and "(8, 8), Image.Resampling.BICUBIC" in card and "# (1, 64)" in card


def test_of_an_encoder_alone_the_training_is_not_known(home):
    card = home()
    assert "of unknown training" in card and "Not known: it was exported from an encoder's folder" in card
    assert "synthcl train" not in card and "None yet: `synthcl eval`" in card


@pytest.mark.parametrize(
    ("options", "result", "sentence"),
    [
        ({}, {"learner": "simclr"}, "It was trained without labels, by synthcl."),
        ({}, {"learner": "own", "uses_labels": True}, "It was trained with labels, by synthcl."),
        ({"learner": "supcon"}, {"learner": "supcon"}, "It was trained with labels, by synthcl."),
        ({}, {}, None),
        (None, {}, None),
    ],
)
def test_labels_are_said_as_far_as_they_are_known(home, options, result, sentence):
    card = home(options=options, **result)
    assert ("self-supervised" in yaml.safe_load(card.split("---")[1])["tags"]) == ("without" in (sentence or ""))
    assert ("It was trained" in card) == (sentence is not None)
    assert sentence is None or sentence in card


def test_facts_are_the_results_and_the_command_is_the_runs(home, tmp_path):
    facts = {"regime": "online", "learner": "moco", "num_images": 1442, "num_synthetic": 12_000, "steps": 30}
    facts |= {"loss": 1.23456, "seconds": 7.5, "generator_hash": "0123456789abcdef" * 4}
    run = {"hardware": {"device": "A GPU"}, "versions": {"torch": "2", "timm": None}}
    options = {"online": True, "generator": "a gan", "learner": "moco", "hard": False}
    card = home(options=options, run=run, **facts)
    assert "\n# resnet10-w8, 8 pixels, moco, regime `online`\n" in card
    assert rows(card) | {"epochs": None} == {
        "data": "digits (1,442 images)",
        "regime": "online",
        "learner": "moco",
        "synthetic samples seen": "12,000",
        "generator": "weights 0123456789abcdef",
        "steps": "30",
        "loss at the end": "1.235",
        "seconds": "7.5",
        "hardware": "A GPU",
        "versions": "torch 2",
        "---": "---",
        "epochs": None,
    }
    (command,) = [line for line in card.splitlines() if line.startswith("synthcl train")]
    shown = yaml.safe_load(CliRunner().invoke(main, [*shlex.split(command)[1:], "--dry-run"]).stdout)
    assert {name: shown[name] for name in options} == options and shown["out"] == str(tmp_path)


def test_sets_are_named_by_their_recipes(home):
    card = home(options={"shards": ["s"]}, set_hashes=["a" * 64, "b" * 64])
    assert rows(card)["generator"] == f"shard sets {'a' * 16}, {'b' * 16}"


def test_a_run_that_was_extended_has_all_its_commands(home):
    change = {"from": 10, "at": 8, "to": 30}
    card = home(options={}, steps=30, length_changes=[change])
    commands = [line for line in card.splitlines() if line.startswith("synthcl train")]
    assert ["--steps 10" in commands[0], "--steps 30" in commands[1]] == [True, True]
    assert "(the one before it was stopped at step 8)" in card
    assert "It is not the encoder that the last command alone trains." in card


def test_metrics_are_those_of_these_weights(home):
    card = home(
        options={},
        evaluations=[
            {"label_fraction": 0.1},
            {"scored_on_training_split": True},
            {"encoder_hash": "of others", "task": "linear"},
            {"untrained": True, "task": "linear"},
            {"top1": None, "task": "quality"} | {"encoder_hash": "none"},
            {"task": "robustness", "corrupted_top1": 0.4},
        ],
    )
    found = [line for line in card.splitlines() if line.startswith(("| knn", "| linear", "| quality", "| robust"))]
    assert found == [
        "| knn | digits:train | digits:test | 10% | 60.00 (50.00 to 70.00) |",
        "| knn | digits:train | digits:test (**not held out**) | 100% | 60.00 (50.00 to 70.00) |",
        "| robustness | digits:train | digits:test | 100% | 60.00 (50.00 to 70.00); 40.00 corrupted |",
    ]


@pytest.mark.parametrize(
    ("to", "size", "said"),
    [
        ("torchvision", 32, "do not build; the lines below put it in place."),
        ("safetensors", 32, "do not build."),
        ("torchvision", 96, None),
    ],
)
def test_a_stem_for_small_images_is_said(home, to, size, said):
    card = home("resnet18", to, size)
    assert ("Its stem is the one for small images" in card) == (said is not None)
    assert said is None or said in card

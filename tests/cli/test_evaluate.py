"""`synthcl eval ...` as users call it."""

import json

import pytest
import torch

from synthcl.cli.evaluation_tables import MEASURES
from synthcl.learners import create_backbone
from synthcl.pipeline.data.catalogue import SUITES
from synthcl.pipeline.encoder import Encoder

SIZE = 8


@pytest.fixture(scope="module")
def encoder_run(tmp_path_factory):
    path = tmp_path_factory.mktemp("runs") / "run"
    path.mkdir()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        Encoder(create_backbone("resnet10-w8", image_size=SIZE), "resnet10-w8", SIZE).save(path / "encoder")
    (path / "run.json").write_text(json.dumps({"command": "train"}))
    (path / "config.yaml").write_text("data: digits\n")
    (path / "result.json").write_text(json.dumps({"regime": "real", "steps": 1}))
    return path


@pytest.mark.parametrize(
    ("command", "options"),
    [
        ("linear", ["--label-fraction", 0.05]),
        ("linear", ["--probe", "sgd", "--epochs", 2]),
        ("knn", ["--preset", "dino", "--untrained"]),
        ("linear", ["--shots", "1,3", "--draws", 2, "--l2", 0.1]),
        ("knn", ["--shots", 2]),
        ("finetune", ["--epochs", 1]),
        ("finetune", ["--preset", "simclr", "--label-fraction", 0.1, "--epochs", 1]),
        ("transfer", ["--data", "digits:train", "--label-fraction", 0.05]),
    ],
)
def test_json_is_one_object_with_what_scripts_need(synthcl, encoder_run, command, options):
    result = synthcl("eval", command, encoder_run, "--data", "digits", *options, "--json").json
    assert {"task", "top1", "num_train", "num_test", "run", "seconds"} <= set(result)
    assert result["task"] == command and result["run"] == str(encoder_run) and 0 <= result["top1"] <= 1


@pytest.mark.parametrize("command", ["knn", "transfer"])
def test_people_get_a_table(synthcl, encoder_run, command):
    out = synthcl("eval", command, encoder_run, "--data", "digits", "--label-fraction", 0.05).stdout
    assert "digits:test" in out and "top-1 %" in out and max(map(len, out.splitlines())) <= 80


def test_a_suite_is_one_table_or_one_object(synthcl, encoder_run, stand_in, no_internet, quick_probes, tmp_path):
    sets = SUITES["fine-grained"].sets
    for dataset in sets:
        stand_in(tmp_path, dataset)
    arguments = ["eval", "transfer", encoder_run, "--suite", "fine-grained", "--data-root", tmp_path]
    result = synthcl(*arguments, "--json").json
    assert [row["metric"] for row in result["results"]] == SUITES["fine-grained"].metrics()
    assert 0 <= result["score"] <= 1
    table = synthcl(*arguments).stdout
    assert all(name in table for name in sets) and "per class" in table and max(map(len, table.splitlines())) <= 80
    (tmp_path / "stanford_cars").rename(tmp_path / "lost")
    said = " ".join(synthcl(*arguments, code=1).stderr.split())
    assert "1 of its 5 sets cannot be used (stanford-cars): stanford-cars is not in" in said


def test_few_labels_are_in_the_table(synthcl, encoder_run):
    data = ["--data", "digits:train[:200,balanced]", "--test-data", "digits:test[:50]"]
    table = synthcl("eval", "knn", encoder_run, *data, "--shots", "1,5", "--draws", 3).stdout
    assert "5 a class, top-1 %" in table and "over 3 draws" in table and max(map(len, table.splitlines())) <= 80


def test_robustness(synthcl, encoder_run, quick_probes):
    arguments = ["eval", "robustness", encoder_run, "--data", "digits:train[:200]", "--test-data", "digits:test[:50]"]
    result = synthcl(*arguments, "--corruptions", "jpeg,motion-blur", "--json").json
    assert len(result["corrupted"]) == 10 and 0 <= result["corrupted_top1"] <= 1 and result["task"] == "robustness"
    table = synthcl(*arguments, "--corruptions", "jpeg,motion-blur").stdout
    assert "motion-blur" in table and "scored on 50" in table and max(map(len, table.splitlines())) <= 80


def test_quality_of_a_generator(synthcl, encoder_run, generator):
    arguments = ["eval", "quality", generator, "--data", "digits", "--encoder", encoder_run, "--num-samples", 20]
    result = synthcl(*arguments, "--json").json
    assert {"precision", "recall", "density", "coverage", "frechet_distance", "authenticity"} <= set(result)
    table = synthcl(*arguments).stdout
    assert "Fréchet distance" in table and max(map(len, table.splitlines())) <= 80
    numbers = {name for name, value in result.items() if isinstance(value, float) and name != "seconds"}
    assert numbers <= set(MEASURES) and all(MEASURES[name][0] in table for name in numbers)


def test_a_set_is_looked_at_next_and_other_images_are_not(synthcl, encoder_run, generator, tmp_path):
    synthcl("generate", "--generator", generator, "--num-samples", 20, "--workers", 0, "--out", tmp_path / "set")
    options = ["--data", "digits", "--encoder", encoder_run, "--num-samples", 20]
    said = [synthcl("eval", "quality", one, *options).stderr for one in (tmp_path / "set", "digits:test[:20]")]
    assert f"next: synthcl shards preview {tmp_path / 'set'} --data digits" in said[0]
    assert "next:" not in said[1]


def test_alignment(synthcl, encoder_run):
    result = synthcl("eval", "alignment", encoder_run, "--data", "digits", "--num-images", 50, "--json").json
    assert result["alignment"] > 0 > result["uniformity"]
    table = synthcl("eval", "alignment", encoder_run, "--data", "digits", "--num-images", 50).stdout
    assert "uniformity" in table and "↓" in table and "images: 50" in table


def test_scoring_on_the_training_split_is_said(synthcl, encoder_run):
    result = synthcl(
        "eval", "knn", encoder_run, "--data", "digits", "--test-data", "digits:train", "--json"
    ).json  # fmt: skip
    assert result["scored_on_training_split"] and "no test accuracy" in result["warnings"][0]


WRONG = {
    "no run": (["nowhere", "--data", "digits"], 1, "there is no run nowhere"),
    "no data": (["RUN"], 2, "--data"),
    "no such data": (["RUN", "--data", "nowhere/"], 2, "nowhere"),
    "fraction": (["RUN", "--data", "digits", "--label-fraction", 2], 2, "--label-fraction must be at most 1"),
    "no such split": (["RUN", "--data", "digits", "--test-data", "digits:half"], 2, "half"),
    "shots": (["RUN", "--data", "digits", "--shots", "a,b"], 2, "--shots takes whole numbers from 1 on"),
    "too many shots": (["RUN", "--data", "digits[:50,balanced]", "--shots", "9"], 2, "give --shots 5 or less"),
    "no draws": (["RUN", "--data", "digits", "--draws", "3"], 2, "--draws means nothing without --shots K,K,..."),
}


@pytest.mark.parametrize(("arguments", "code", "message"), WRONG.values(), ids=WRONG.keys())
def test_wrong_use_gets_a_sentence(synthcl, encoder_run, arguments, code, message):
    arguments = [encoder_run if argument == "RUN" else argument for argument in arguments]
    assert message in " ".join(synthcl("eval", "linear", *arguments, code=code).stderr.split())

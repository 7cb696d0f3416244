"""`synthcl pretrain` with the options of its trainer: what they come to, resumed runs, and joint training after it."""

import json
import shutil

import pytest

from synthcl.generators.gan.presets import PRESETS
from synthcl.pipeline.evaluation.monitors.quality import MEASURES

PRETRAIN = [
    "pretrain", "--data", "digits", "--image-size", 8, "--preset", "tiny", "--batch-size", 8, "--log-every", 1,
    "--checkpoint-every", 2, "--sample-every", 100, "--json",
]  # fmt: skip
SCHEDULES = [
    "--generator-learning-rate", 1e-3, "--discriminator-learning-rate", 3e-3, "--gamma", 0.4, "--final-gamma", 0.05,
    "--beta1", 0.1, "--beta2", 0.9, "--final-beta2", 0.99, "--decay", 0.4, "--penalty-every", 3, "--ema-decay", 0.9,
    "--augment", "colour,cutout", "--discriminator-preset", "small",
]  # fmt: skip


def weights(run):
    return {path.relative_to(run): path.read_bytes() for path in (run / "generator").rglob("*.safetensors")}


def test_every_option_of_the_trainer_is_used_and_recorded(synthcl, tmp_path):
    result = synthcl(*PRETRAIN, *SCHEDULES, "--steps", 2, "--out", tmp_path / "run").json
    expected = {
        "generator_learning_rate": 1e-3, "discriminator_learning_rate": 3e-3, "gamma": 0.4, "final_gamma": 0.05,
        "beta1": 0.1, "beta2": 0.9, "final_beta2": 0.99, "decay": 0.4, "penalty_every": 3, "ema_decay": 0.9,
        "augment": "colour,cutout",
    }  # fmt: skip
    saved = json.loads((tmp_path / "run" / "generator" / "training" / "trainer.json").read_text())
    assert result["training"] == saved["options"] == expected and saved["num_steps"] == 2
    widths = {
        folder: json.loads((tmp_path / "run" / "generator" / folder / "config.json").read_text())["widths"]
        for folder in (".", "discriminator")
    }
    assert widths == {".": [32, 32], "discriminator": [96, 96]}
    assert synthcl(*PRETRAIN, *SCHEDULES, "--steps", 2, "--out", tmp_path / "run").json == result


def test_one_learning_rate_is_for_both_networks_and_the_rest_is_the_presets(synthcl, tmp_path):
    result = synthcl(*PRETRAIN, "--learning-rate", 1e-4, "--steps", 1, "--out", tmp_path / "run").json
    rates = {"generator_learning_rate": 1e-4, "discriminator_learning_rate": 1e-4}
    assert result["training"] == vars(PRESETS["tiny"].training) | rates


def test_a_run_with_schedules_that_was_cut_ends_as_the_uninterrupted_one(synthcl, tmp_path):
    synthcl(*PRETRAIN, *SCHEDULES, "--steps", 6, "--keep", 3, "--out", tmp_path / "whole")
    for done in (2, 4):
        cut = tmp_path / f"cut{done}"
        shutil.copytree(tmp_path / "whole", cut)
        for path in [cut / "generator", *sorted((cut / "checkpoints").iterdir())[done // 2 :]]:
            shutil.rmtree(path)
        (cut / "result.json").unlink()
        synthcl(*PRETRAIN, *SCHEDULES, "--steps", 6, "--keep", 3, "--out", cut)
        assert weights(cut) == weights(tmp_path / "whole") and len(weights(cut)) == 4
        assert (cut / "metrics.jsonl").read_bytes() == (tmp_path / "whole" / "metrics.jsonl").read_bytes()


def test_joint_training_goes_on_with_what_pretraining_used(synthcl, tmp_path):
    synthcl(*PRETRAIN, *SCHEDULES, "--steps", 3, "--out", tmp_path / "gan")
    train = [
        "train", "--data", "digits", "--image-size", 8, "--batch-size", 8, "--backbone", "resnet10-w8", "--precision",
        "fp32", "--steps", 3, "--online", "--generator", tmp_path / "gan", "--log-every", 1,
    ]  # fmt: skip
    result = synthcl(*train, "--out", tmp_path / "run", "--json").json
    rows = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    # Pretraining did three steps, with penalties on the third: joint training does its own on the third of its own.
    assert ["penalty_real" in row for row in rows] == [False, False, True]
    saved = json.loads((tmp_path / "run" / "generator" / "training" / "trainer.json").read_text())
    assert saved["num_steps"] == 6
    assert result["generator_training"] == saved["options"]
    came_to = {"gamma": 0.05, "final_gamma": None, "beta2": 0.99, "final_beta2": None, "decay": 0.0}
    assert saved["options"].items() >= {**came_to, "penalty_every": 3, "augment": "colour,cutout"}.items()


WRONG = {
    "an unknown part of the augmentation": (["--augment", "color"], "'color': choose from none, colour, translation"),
    "a discriminator of no preset": (
        ["--discriminator-preset", "huge"],
        "'huge': choose from auto, plain, tiny, small, base",
    ),
    "a gamma of zero that changes": (["--gamma", 0, "--final-gamma", 0.1], "gamma, where there is a final_gamma, must"),
    "a decay beyond the whole": (["--decay", 1.5], "--decay must be at most 1, not 1.5"),
    "a beta of one": (["--final-beta2", 1], "--final-beta2 must be below 1, not 1.0"),
    "an option of the other kind": (
        ["--generator", "diffusion", "--gamma", 0.1],
        "--gamma cannot be given here: a diffusion trainer takes no such option",
    ),
}


@pytest.mark.parametrize(("options", "message"), WRONG.values(), ids=WRONG.keys())
def test_wrong_options_get_a_sentence_and_leave_nothing(synthcl, tmp_path, options, message):
    result = synthcl(*PRETRAIN, *options, "--steps", 2, "--out", tmp_path / "run", code=2)
    assert message in " ".join(result.stderr.split())
    assert not (tmp_path / "run").exists()


def test_fewer_steps_than_were_done_are_refused(synthcl, tmp_path):
    run = [*PRETRAIN, "--out", tmp_path / "run", "--steps"]
    result = synthcl(*run, 4).json
    message = " ".join(synthcl(*run, 3, code=2).stderr.split())
    assert "is finished, with 4 steps; its weights are not those of a training of 3. Give --steps 4 or more" in message
    assert synthcl(*run, 4).json == result
    longer = synthcl(*run, 6)
    assert longer.json["extended_from"] == [4] and longer.json["steps"] == 6
    assert "is extended from 4 to 6 steps. The learning rate stays at" in longer.stderr
    assert "extended from 4 to 6 steps" in synthcl("runs", "list", tmp_path).stdout


@pytest.fixture(scope="module")
def encoder(synthcl, tmp_path_factory):
    """A run of `train` on real images alone."""
    path = tmp_path_factory.mktemp("encoder") / "run"
    synthcl(
        "train", "--data", "digits", "--image-size", 8, "--batch-size", 16, "--backbone", "resnet10-w8", "--precision",
        "fp32", "--steps", 2, "--out", path,
    )  # fmt: skip
    return path


def test_samples_with_a_checkerboard_are_said(synthcl, encoder, tmp_path, monkeypatch, caplog):
    measure = ["--eval-encoder", encoder, "--eval-samples", 100, "--steps", 2]
    said = {}
    for name, factor in (("none", float("inf")), ("strong", 0.0)):
        monkeypatch.setattr("synthcl.pipeline.evaluation.checkerboard.FACTOR", factor)
        monkeypatch.setattr("synthcl.pipeline.evaluation.checkerboard.UNSEEN", 0.0)
        done = synthcl(*PRETRAIN, *measure, "--out", tmp_path / name)
        words = f"the samples have a checkerboard of {done.json['checkerboard']:.1f} levels"
        said[name] = words in caplog.text
    assert said == {"none": False, "strong": True}


@pytest.mark.parametrize("kind", ["gan", "diffusion"])
def test_measuring_a_run_does_not_change_it_and_resumes_exactly(synthcl, encoder, tmp_path, kind):
    pretrain = [*PRETRAIN, "--log-every", 2, "--keep", 3, "--generator", kind, "--steps", 6]
    pretrain += ["--sampling-steps", 2] if kind == "diffusion" else []
    measure = ["--eval-every", 3, "--eval-encoder", encoder, "--eval-samples", 100]
    synthcl(*pretrain, "--out", tmp_path / "plain")
    done = synthcl(*pretrain, *measure, "--out", tmp_path / "measured")
    assert weights(tmp_path / "plain") == weights(tmp_path / "measured")
    assert "frechet_distance" in done.stderr and "recall" in done.stderr
    rows = [json.loads(line) for line in (tmp_path / "measured" / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [2, 3, 4, 6]
    measured = {row["step"]: {name: row[name] for name in MEASURES} for row in rows if "recall" in row}
    assert list(measured) == [3, 6] and measured[3] != measured[6]
    assert (
        measured[3]["frechet_distance"] > measured[3]["frechet_distance_real"] == measured[6]["frechet_distance_real"]
    )
    assert {name: done.json[name] for name in MEASURES} == measured[6]
    assert done.json["eval_encoder"] == str(encoder) and len(done.json["eval_encoder_hash"]) == 32

    shutil.copytree(tmp_path / "measured", tmp_path / "cut")
    for path in [tmp_path / "cut" / "generator", *sorted((tmp_path / "cut" / "checkpoints").iterdir())[1:]]:
        shutil.rmtree(path)
    (tmp_path / "cut" / "result.json").unlink()
    synthcl(*pretrain, *measure, "--out", tmp_path / "cut")
    assert (tmp_path / "cut" / "metrics.jsonl").read_bytes() == (tmp_path / "measured" / "metrics.jsonl").read_bytes()


def test_an_encoder_alone_measures_at_the_end(synthcl, encoder, tmp_path):
    run = [*PRETRAIN, "--steps", 3, "--eval-encoder", encoder, "--eval-samples", 50, "--out", tmp_path / "run"]
    assert synthcl(*run).json["frechet_distance"] > 0
    rows = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert ["recall" in row for row in rows] == [False, False, True]


UNMEASURABLE = {
    "no encoder": (["--eval-every", 3], 2, "To make one: synthcl train --data digits --epochs 3"),
    "samples for nothing": (["--eval-samples", 10], 2, "--eval-samples means nothing without --eval-encoder"),
    "too few samples": (["--eval-encoder", "x", "--eval-samples", 5], 2, "--eval-samples must be at least 10, not 5"),
    "no such run": (["--eval-encoder", "nowhere"], 1, "there is no run nowhere; give a run of `synthcl train`"),
    "a generator": (["--eval-encoder", "GENERATOR"], 1, "has no encoder"),
    "trained jointly": (["--eval-encoder", "ONLINE"], 2, "was trained on synthetic images too (regime online)"),
}


@pytest.mark.parametrize(("options", "code", "message"), UNMEASURABLE.values(), ids=UNMEASURABLE.keys())
def test_what_cannot_measure_gets_a_sentence_and_leaves_nothing(synthcl, generator, tmp_path, options, code, message):
    if "ONLINE" in options:
        synthcl(
            "train", "--data", "digits", "--image-size", 8, "--batch-size", 16, "--backbone", "resnet10-w8",
            "--precision", "fp32", "--steps", 1, "--online", "--generator", generator, "--out", tmp_path / "online",
        )  # fmt: skip
    places = {"GENERATOR": generator, "ONLINE": tmp_path / "online"}
    options = [places.get(option, option) for option in options]
    result = synthcl(*PRETRAIN, *options, "--steps", 2, "--out", tmp_path / "run", code=code)
    assert message in " ".join(result.stderr.split())
    assert not (tmp_path / "run").exists()

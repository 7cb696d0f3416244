"""`train` as a function: its result, what it leaves behind, what a seed decides, and what it refuses before anything is
written."""

import json

import pytest
import torch

from synthcl.generators import create_trainer
from synthcl.pipeline.encoder import Encoder
from synthcl.pipeline.errors import UsageError
from synthcl.pipeline.generation.opening import save_generator
from synthcl.pipeline.training import train as training
from synthcl.pipeline.training.step import TrainingStep
from synthcl.pipeline.training.train import train

COMMON = {"data": "digits[:64]", "image_size": 8, "batch_size": 16, "backbone": "resnet10-w8", "steps": 3}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    run = tmp_path_factory.mktemp("runs") / "real"
    return run, train(**COMMON, out=str(run))


def test_the_result_says_what_was_trained(finished):
    run, result = finished
    assert (result["run"], result["regime"], result["learner"]) == (str(run), "real", "simclr")
    assert (result["steps"], result["epochs"]) == (3, 0.75)  # four steps go over 64 images
    assert (result["num_images"], result["num_synthetic"]) == (64, 0)
    last = json.loads((run / "metrics.jsonl").read_text().splitlines()[-1])
    assert (last["step"], last["loss"]) == (3, result["loss"])
    assert json.loads((run / "result.json").read_text()) == result
    assert Encoder.load(run / "encoder").image_size == 8


def test_a_finished_run_gives_its_result_and_takes_no_step(finished, monkeypatch):
    run, result = finished
    monkeypatch.setattr(TrainingStep, "__call__", lambda *_: pytest.fail("a step was taken"))
    assert train(**COMMON, out=str(run)) == result


def test_another_seed_draws_other_images_views_and_latents(tmp_path, monkeypatch):
    save_generator(create_trainer("gan", 8, preset="tiny"), tmp_path / "gan")
    build, built = training.build_regime, []
    monkeypatch.setattr(training, "build_regime", lambda setup: built.append(build(setup)) or built[-1])
    options = {**COMMON, "steps": 1, "fresh": True, "generator": str(tmp_path / "gan")}
    for seed in (1, 2):
        train(**options, seed=seed, out=str(tmp_path / str(seed)))
    picture = torch.linspace(0, 1, 3 * 8 * 8).view(1, 3, 8, 8)
    drawn = [(one.real.images(0), one.views(picture, torch.arange(1), 0), one.batch(0, None).latents) for one in built]
    for one, other in zip(*drawn, strict=True):
        assert one.shape == other.shape and not torch.equal(one, other)


WRONG = {
    "other options": ({"learning_rate": 0.5}, "learning-rate"),
    "fewer steps": ({"steps": 2}, "3 steps"),
}


@pytest.mark.parametrize(("options", "message"), WRONG.values(), ids=WRONG.keys())
def test_a_folder_keeps_the_run_that_it_holds(finished, options, message):
    run, result = finished
    with pytest.raises(UsageError, match=message):
        train(**{**COMMON, **options}, out=str(run))
    assert json.loads((run / "result.json").read_text()) == result


BEFORE = {
    "a batch larger than the set": ({"batch_size": 100}, UsageError, "--batch-size 100"),
    "no such generator": ({"online": True, "generator": "nowhere"}, ValueError, "nowhere"),
    "labels that are not there": ({"synthetic_classes": True, "shards": ["s"]}, UsageError, "--synthetic-classes"),
    "no such backbone": ({"backbone": "resnet7"}, UsageError, "resnet7"),
}


@pytest.mark.parametrize(("options", "error", "message"), BEFORE.values(), ids=BEFORE.keys())
def test_what_cannot_be_trained_leaves_no_folder(tmp_path, options, error, message):
    with pytest.raises(error, match=message):
        train(**{**COMMON, **options}, out=str(tmp_path / "run"))
    assert not (tmp_path / "run").exists()

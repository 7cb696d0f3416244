"""`--eval-every` and `--tracker`: what people watch a run by, from the command line."""

import io
import json

import numpy as np
import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from synthcl.pipeline.images.grids import read_grid

TINY = [
    "--image-size", "8", "--batch-size", "16", "--backbone", "resnet10-w8", "--precision", "fp32", "--steps", "6",
    "--log-every", "2",
]  # fmt: skip
WATCHED = ["--eval-every", "3", "--tracker", "tensorboard"]


def rows(run):
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def tracked(run, name):
    events = EventAccumulator(str(run / "tensorboard")).Reload().Scalars(name)
    assert len({event.step for event in events}) == len(events)
    return {event.step: event.value for event in events}


@pytest.mark.parametrize("learner", ["simclr", "moco"])
def test_watching_a_run_does_not_change_it(synthcl, tmp_path, learner):
    train = ["train", "--data", "digits", *TINY, "--learner", learner]
    train += ["--queue-size", "64"] if learner == "moco" else []
    synthcl(*train, "--out", tmp_path / "plain")
    shown = synthcl(*train, "--out", tmp_path / "watched", *WATCHED).stderr
    assert "images" in shown and "loss" in shown and "knn_top1" in shown
    weights = [(tmp_path / run / "encoder" / "model.safetensors").read_bytes() for run in ("plain", "watched")]
    assert weights[0] == weights[1]
    plain, watched = rows(tmp_path / "plain"), rows(tmp_path / "watched")
    accuracies = {row["step"]: row.pop("knn_top1") for row in watched if "knn_top1" in row}
    assert list(accuracies) == [3, 6] and all(0.2 < accuracy <= 1 for accuracy in accuracies.values())
    assert [row for row in watched if row["step"] != 3] == plain
    for name in ("loss", "learning_rate"):
        assert tracked(tmp_path / "watched", name) == pytest.approx({r["step"]: r[name] for r in watched}, rel=1e-6)
    assert tracked(tmp_path / "watched", "knn_top1") == pytest.approx(accuracies, rel=1e-6)


def test_pretraining_is_tracked(synthcl, tmp_path):
    synthcl(
        "pretrain", "--data", "digits", "--image-size", 8, "--preset", "tiny", "--steps", 2, "--batch-size", 8,
        "--log-every", 1, "--tracker", "tensorboard", "--out", tmp_path / "gan",
    )  # fmt: skip
    margins = {row["step"]: row["margin"] for row in rows(tmp_path / "gan")}
    assert list(margins) == [1, 2] and tracked(tmp_path / "gan", "margin") == pytest.approx(margins, rel=1e-6)


def test_joint_training_sends_pictures_of_its_pairs(synthcl, generator, tmp_path):
    options = ["--online", "--generator", generator, "--sample-every", 2, "--tracker", "tensorboard", "--steps", 4]
    synthcl("train", "--data", "digits", *TINY, *options, "--out", tmp_path / "run")
    pictures = EventAccumulator(str(tmp_path / "run" / "tensorboard")).Reload().Images("samples")
    assert [picture.step for picture in pictures] == [2, 4]
    for picture in pictures:
        file = tmp_path / "run" / "samples" / f"{picture.step:08d}.png"
        with Image.open(io.BytesIO(picture.encoded_image_string)) as sent, Image.open(file) as saved:
            assert np.array_equal(np.asarray(sent), np.asarray(saved))
    real = read_grid(tmp_path / "run" / "real_images.png", 8, 8)
    assert real.shape == (8, 3, 8, 8) and real.float().std() > 10


def photos_without_test(folder):
    for name in ("a", "b"):
        (folder / "photos" / name).mkdir(parents=True)
        for i in range(10):
            Image.fromarray(np.full((8, 8, 3), i, np.uint8)).save(folder / "photos" / name / f"{i}.png")
    return folder / "photos"


def photos_without_labels(folder):
    for split in ("train", "test"):
        (folder / "photos" / split).mkdir(parents=True)
        for i in range(20):
            Image.fromarray(np.full((8, 8, 3), i, np.uint8)).save(folder / "photos" / split / f"{i}.png")
    return folder / "photos"


@pytest.mark.parametrize(
    ("make", "message"), [(photos_without_test, "no test or validation split"), (photos_without_labels, "no labels")]
)
def test_nothing_to_score_on_gets_a_sentence_and_leaves_nothing(synthcl, tmp_path, make, message):
    train = ["train", "--data", make(tmp_path), *TINY, "--eval-every", "3", "--out", tmp_path / "run"]
    stderr = " ".join(synthcl(*train, code=2).stderr.split())
    assert "--eval-every" in stderr and message in stderr and not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [(["--eval-every", "0"], "at least 1"), (["--tracker", "paper"], "'tensorboard', 'wandb'")],
)
def test_wrong_values_are_named(synthcl, tmp_path, options, message):
    train = ["train", "--data", "digits", *TINY, *options, "--out", tmp_path / "run"]
    assert message in " ".join(synthcl(*train, code=2).stderr.split())


def test_a_missing_package_is_named(synthcl, tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda package: None)
    train = ["train", "--data", "digits", *TINY, "--tracker", "wandb", "--out", tmp_path / "run"]
    assert "pip install wandb" in " ".join(synthcl(*train, code=2).stderr.split())
    assert not (tmp_path / "run").exists()

"""`synthcl train --learner dino --local-views N`: in every regime, taken up again, and where it is refused."""

import json

import pytest

TINY = ["--image-size", 8, "--batch-size", 8, "--backbone", "resnet10-w8", "--precision", "fp32", "--log-every", 1]
NARROW = ["--learner-option", "hidden_dim=16", "--learner-option", "num_prototypes=32"]
DINO = ["--learner", "dino", *NARROW, "--local-views", 3]


def train(synthcl, out, *options, steps=2, code=0):
    return synthcl("train", "--data", "digits", "--out", out, "--steps", steps, *TINY, *options, "--json", code=code)


def rows(run):
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def options_of(name, synthcl, generator, folder):
    """What chooses a regime that has synthetic samples."""
    drawn = ["--generator", generator]
    if name == "offline":
        synthcl("generate", *drawn, "--num-samples", 20, "--pairs", "--workers", 0, "--out", folder / "set")
        return ["--shards", folder / "set"]
    if name == "replay":
        train(synthcl, folder / "recorded", *DINO, "--online", *drawn, "--record", folder / "recording")
        return ["--replay", folder / "recording"]
    return [f"--{name}", *drawn]


@pytest.mark.parametrize("name", ["offline", "fresh", "replay"])
def test_local_views_train_in_every_regime(synthcl, generator, tmp_path, name):
    chosen = options_of(name, synthcl, generator, tmp_path)
    train(synthcl, tmp_path / "run", *DINO, *chosen)
    train(synthcl, tmp_path / "without", *DINO[:-2], *chosen)
    for row, other in zip(rows(tmp_path / "run"), rows(tmp_path / "without"), strict=True):
        assert row["hardness_synthetic"] > 0 and row["loss"] != other["loss"]
    if name == "replay":  # the steps of the joint training that it is a recording of
        recorded = (tmp_path / "recorded/encoder/model.safetensors").read_bytes()
        assert (tmp_path / "run/encoder/model.safetensors").read_bytes() == recorded


@pytest.mark.parametrize(
    "objective", [["--hard-objective", "loss"], ["--hard-objective", "alignment", "--adversarial", 0.015]]
)
def test_joint_training_with_local_views_continues_bit_for_bit(synthcl, generator, tmp_path, objective):
    options = [*DINO, "--online", "--generator", generator, *objective, "--accumulate", 2, "--separate-batchnorm"]
    options += ["--checkpoint-every", 2]
    train(synthcl, tmp_path / "whole", *options, steps=4)
    train(synthcl, tmp_path / "run", *options, steps=4)
    newest = tmp_path / "run" / "checkpoints" / "step-00000004"
    for file in newest.iterdir():
        file.write_bytes(b"")  # damaged: the run goes on from the one before
    (tmp_path / "run" / "result.json").unlink()
    train(synthcl, tmp_path / "run", *options, steps=4)
    for name in ("metrics.jsonl", "encoder/model.safetensors", "checkpoints/step-00000004/learner.safetensors"):
        assert (tmp_path / "run" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name


REFUSED = {
    "a learner with negatives": (["--local-views", 3], "--local-views is for --learner dino, whose teacher sees whole"),
    "a size of nothing": (["--learner", "dino", "--local-size", 6], "--local-size means nothing without --local-views"),
    "a large size": (
        [*DINO, "--local-size", 8],
        "--local-size 8 is not below the 8 pixels of the other views; give fewer",
    ),
    "too many": ([*DINO[:-1], 17], "17"),
}


@pytest.mark.parametrize(("options", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_local_views_are_refused_where_they_mean_nothing(synthcl, tmp_path, options, message):
    refused = train(synthcl, tmp_path / "run", *options, code=2)
    assert message in " ".join(refused.stderr.split())
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("local_views", [0, 2])
def test_dino_learns_digits(synthcl, tmp_path, local_views):
    """Above the same encoder with untrained weights, by nearest neighbours, after seconds."""
    small = ["--image-size", 8, "--backbone", "resnet10-w8", "--batch-size", 64, "--steps", 60, "--precision", "fp32"]
    options = ["--learner", "dino", "--local-views", local_views, "--learner-option", "hidden_dim=256"]
    synthcl("train", "--data", "digits", *small, *options, "--out", tmp_path / "run")
    knn = ["eval", "knn", tmp_path / "run", "--data", "digits", "--preset", "dino", "--json"]
    trained, fresh = synthcl(*knn).json["top1"], synthcl(*knn, "--untrained").json["top1"]
    assert trained > fresh + 0.02

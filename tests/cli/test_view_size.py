"""`synthcl train --view-size`: views cropped from larger images, in every regime, taken up again, and refused."""

import json
import shutil

import pytest

LARGE = ["--image-size", 12, "--view-size", 8]
TINY = ["--batch-size", 8, "--backbone", "resnet10-w8", "--precision", "fp32", "--log-every", 1, "--eval-every", 2]


def train(synthcl, out, *options, steps=4, code=0):
    given = ["--data", "digits", "--steps", steps, "--checkpoint-every", 2, "--watch-features", 2, *TINY, *options]
    return synthcl("train", *given, "--out", out, "--json", code=code)


def options_of(name, synthcl, generator, folder):
    """What chooses a regime, with samples brought to the size of the images."""
    drawn = ["--generator", generator]
    if name == "real":
        return []
    if name == "offline":
        synthcl("generate", *drawn, "--num-samples", 20, "--workers", 0, "--out", folder / "set")
        return ["--shards", folder / "set", "--resize-samples"]
    if name == "replay":
        online = ["--online", *drawn, "--resize-samples", "--record", folder / "recording"]
        train(synthcl, folder / "recorded", *LARGE, *online)
        return ["--replay", folder / "recording"]
    return [f"--{name}", *drawn, "--resize-samples"]


@pytest.mark.parametrize("name", ["real", "offline", "fresh", "online", "replay"])
def test_every_regime_trains_an_encoder_of_the_views_and_goes_on_exactly(synthcl, generator, tmp_path, name):
    chosen = [*LARGE, *options_of(name, synthcl, generator, tmp_path)]
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    train(synthcl, whole, *chosen)
    assert json.loads((whole / "encoder" / "config.json").read_text())["image_size"] == 8
    shutil.copytree(whole, cut)
    (cut / "result.json").unlink()
    shutil.rmtree(cut / "checkpoints" / "step-00000004")
    train(synthcl, cut, *chosen)
    for file in ("metrics.jsonl", "encoder/model.safetensors", "checkpoints/step-00000004/learner.safetensors"):
        assert (cut / file).read_bytes() == (whole / file).read_bytes(), file
    if name == "replay":  # the steps of the joint training that it is a recording of
        recorded = (tmp_path / "recorded" / "encoder" / "model.safetensors").read_bytes()
        assert (whole / "encoder" / "model.safetensors").read_bytes() == recorded


def test_a_probe_takes_images_of_the_views_size(synthcl, tmp_path):
    train(synthcl, tmp_path / "run", *LARGE)
    result = synthcl("eval", "knn", tmp_path / "run", "--data", "digits:train[:100]", "--test-data", "digits", "--json")
    assert result.json["image_size"] == 8


def test_views_of_the_images_own_size_are_those_without_the_option(synthcl, tmp_path):
    train(synthcl, tmp_path / "without", "--image-size", 8)
    train(synthcl, tmp_path / "same", "--image-size", 8, "--view-size", 8)
    train(synthcl, tmp_path / "large", *LARGE)
    weights = {n: (tmp_path / n / "encoder/model.safetensors").read_bytes() for n in ("without", "same", "large")}
    assert weights["same"] == weights["without"] != weights["large"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--image-size", 12, "--view-size", 13], "--view-size 13 is above the 12 pixels of the images"),
        (["--image-size", 12, "--view-size", 7], "--view-size must be at least 8, not 7"),
    ],
)
def test_views_that_cannot_be_are_refused(synthcl, tmp_path, options, message):
    refused = " ".join(train(synthcl, tmp_path / "run", *options, code=2).stderr.split())
    assert message in refused and not (tmp_path / "run").exists()

"""Generators whose images are larger than the learner's: joint training reads the real images at both sizes."""

import json
import shutil

import pytest
from PIL import Image

SMALL = [
    "--image-size", 8, "--batch-size", 8, "--backbone", "resnet10-w8", "--precision", "fp32", "--log-every", 1,
    "--checkpoint-every", 2, "--keep", 9,
]  # fmt: skip
LEFT = ("metrics.jsonl", "encoder/model.safetensors", "generator/diffusion_pytorch_model.safetensors")


@pytest.fixture(scope="module")
def larger(synthcl, tmp_path_factory):
    """A generator of 16 pixels."""
    path = tmp_path_factory.mktemp("larger") / "generator"
    made = ["--data", "digits", "--image-size", 16, "--preset", "tiny", "--steps", 2, "--batch-size", 8]
    synthcl("pretrain", *made, "--out", path)
    return path


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Images of 16 by 20 pixels."""
    folder = tmp_path_factory.mktemp("pictures")
    for i in range(20):
        Image.radial_gradient("L").rotate(17 * i).resize((20, 16)).convert("RGB").save(folder / f"{i:02}.png")
    return folder


def tars(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.tar"))}


@pytest.mark.parametrize("cache", ["auto", "none"])  # of which one reads ahead
def test_a_run_that_was_cut_ends_as_a_whole_one_and_its_recording_is_of_what_the_learner_saw(
    synthcl, larger, pictures, tmp_path, cache
):
    train = ["train", "--data", pictures, *SMALL, "--cache", cache, "--steps", 5]
    online = [*train, "--online", "--generator", larger, "--resize-samples", "--hard-ramp", 0]
    done = synthcl(*online, "--record", tmp_path / "set", "--out", tmp_path / "whole")
    assert "enlarged" not in done.stderr
    rows = [json.loads(line) for line in (tmp_path / "whole" / "metrics.jsonl").read_text().splitlines()]
    assert all(row["hard_ratio"] > 0 for row in rows)

    shutil.copytree(tmp_path / "whole", tmp_path / "cut")
    for path in [tmp_path / "cut" / "generator", *sorted((tmp_path / "cut" / "checkpoints").iterdir())[1:]]:
        shutil.rmtree(path)
    (tmp_path / "cut" / "result.json").unlink()
    recorded = tars(tmp_path / "set")
    synthcl(*online, "--record", tmp_path / "set", "--out", tmp_path / "cut")
    for name in LEFT:
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name
    assert tars(tmp_path / "set") == recorded

    assert synthcl("shards", "info", tmp_path / "set", "--json").json["image_size"] == 8
    synthcl(*train, "--replay", tmp_path / "set", "--out", tmp_path / "replay")
    weights = [(tmp_path / run / "encoder" / "model.safetensors").read_bytes() for run in ("whole", "replay")]
    assert weights[0] == weights[1]

"""Other ways to use samples or adversaries, as users call them: CLSP's loss, AdaInf's recipe, CLAE's views."""

import json

import pytest
import yaml

TINY = ["--image-size", 8, "--batch-size", 8, "--backbone", "resnet10-w8", "--precision", "fp32", "--log-every", 1]


def train(synthcl, out, *options, steps=2, code=0):
    return synthcl("train", "--data", "digits", "--out", out, "--steps", steps, *TINY, *options, "--json", code=code)


def rows(run):
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("learner", [["simclr"], ["moco", "--queue-size", 32]])
def test_clsp_trains_jointly_and_its_synthetic_loss_is_a_distance(synthcl, generator, tmp_path, learner):
    options = ["--online", "--generator", generator, "--synthetic-loss", "clsp", "--learner", *learner]
    train(synthcl, tmp_path / "run", *options)
    for row in rows(tmp_path / "run"):
        assert 0 <= row["hardness_synthetic"] <= 4
        weight = 1.0 if learner == ["simclr"] else 0.5
        assert row["loss"] == pytest.approx(row["hardness_real"] + weight * row["hardness_synthetic"], rel=1e-4)


def test_adainf_takes_two_single_samples_for_each_real_image(synthcl, generator, tmp_path):
    def generate(out, *options):
        synthcl("generate", "--generator", generator, "--num-samples", 20, "--out", out, "--workers", 0, *options)
        return out

    single, pairs = generate(tmp_path / "single"), generate(tmp_path / "pairs", "--pairs")
    result = train(synthcl, tmp_path / "run", "--shards", single, "--recipe", "adainf", steps=3).json
    assert result["num_synthetic"] == 3 * 16
    saved = yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())
    assert (saved["views"], saved["synthetic_ratio"], saved["recipe"]) == ("adainf", 2.0, "adainf")
    assert train(synthcl, tmp_path / "run", "--shards", single, "--recipe", "adainf", steps=3).json == result
    refused = train(synthcl, tmp_path / "no", "--shards", pairs, "--recipe", "adainf", code=2)
    assert "holds 2 images a sample, and --recipe adainf is for single ones" in " ".join(refused.stderr.split())
    refused = train(synthcl, tmp_path / "no", "--shards", single, "--recipe", "adainf", "--batch-size", 16, code=2)
    assert "20 samples, fewer than the 32 of a step" in " ".join(refused.stderr.split())
    # More samples than real images, jointly: each real image is shown to the discriminator twice.
    result = train(synthcl, tmp_path / "joint", "--online", "--generator", generator, "--recipe", "adainf").json
    assert result["num_synthetic"] == 2 * 16


def test_a_run_with_adversarial_views_continues_bit_for_bit(synthcl, generator, tmp_path):
    options = ["--online", "--generator", generator, "--adversarial", 0.015, "--accumulate", 2]
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
    assert all(row["loss_adversarial"] > 0 for row in rows(tmp_path / "run"))

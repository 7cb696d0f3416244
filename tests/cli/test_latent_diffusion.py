"""Latent diffusion pipelines that learn along, and stay as they are, as users call it."""

from __future__ import annotations

import json
import shutil

import pytest

from synthcl.pipeline.shards import open_shard_set

TRAIN = [
    "train", "--data", "digits[:64]", "--image-size", 16, "--batch-size", 8, "--backbone", "resnet10-w8", "--steps", 4,
    "--checkpoint-every", 2, "--keep", 2, "--log-every", 1, "--precision", "fp32", "--sampling-steps", 2, "--json",
]  # fmt: skip


@pytest.fixture(scope="module")
def pipelines(build_pipeline, tmp_path_factory):
    """Folders of a class-conditional, a text-to-image and a distilled pipeline."""
    folder = tmp_path_factory.mktemp("pipelines")
    build_pipeline("DiTPipeline", num_embeds_ada_norm=10).save_pretrained(folder / "dit")
    build_pipeline("StableDiffusionPipeline").save_pretrained(folder / "sd")
    build_pipeline("LatentConsistencyModelPipeline").save_pretrained(folder / "lcm")
    return folder


@pytest.fixture
def prompts(tmp_path):
    file = tmp_path / "prompts.txt"
    file.write_text("a red cat\nblue dog 7\n")
    return file


def metrics(run):
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.parametrize(
    ("kind", "smaller"), [("dit", []), ("sd", []), ("dit", ["--image-size", 8, "--resize-samples"])]
)
def test_adapters_learn_through_the_autoencoder_and_resume_bit_for_bit(
    synthcl, pipelines, prompts, tmp_path, kind, smaller
):
    """At the pipeline's own size, and with a learner of smaller images."""
    chosen = ["--classes", "2-4"] if kind == "dit" else ["--prompts", prompts]
    run = [
        *TRAIN,
        *smaller,
        "--online",
        "--generator",
        pipelines / kind,
        "--lora-rank",
        2,
        *chosen,
        "--guidance-scale",
        2,
        "--out",
    ]
    result = synthcl(*run, tmp_path / "whole").json
    assert result["regime"] == "online" and result["num_synthetic"] == 4 * 4
    assert all(row["hard_ratio"] > 0 for row in metrics(tmp_path / "whole")[1:])

    # As kill -9 after the second checkpoint leaves it: without what came later.
    shutil.copytree(tmp_path / "whole", tmp_path / "cut")
    for name in ("checkpoints/step-00000004", "encoder", "generator"):
        shutil.rmtree(tmp_path / "cut" / name)
    (tmp_path / "cut" / "result.json").unlink()
    synthcl(*run, tmp_path / "cut")
    network = "transformer" if kind == "dit" else "unet"
    weights = f"generator/{network}/diffusion_pytorch_model.safetensors"
    for name in ("metrics.jsonl", "encoder/model.safetensors", weights):
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name
    assert (tmp_path / "whole" / weights).read_bytes() != (
        pipelines / kind / network / "diffusion_pytorch_model.safetensors"
    ).read_bytes()

    # What was trained draws as any pipeline does, with the classes or prompts that it learned with.
    drawn = ["generate", "--generator", tmp_path / "whole", "--num-samples", 4, "--sampling-steps", 2, "--workers", 0]
    assert synthcl(*drawn, "--out", tmp_path / "set", "--json").json["complete"]


def test_fresh_draws_for_prompts(synthcl, pipelines, prompts, tmp_path):
    run = [*TRAIN, "--fresh", "--generator", pipelines / "sd", "--prompts", prompts, "--no-pairs", "--out"]
    first = synthcl(*run, tmp_path / "one").json
    assert first["num_synthetic"] == 4 * 4
    prompts.write_text("7 cats\n")
    synthcl(*run, tmp_path / "two")
    assert metrics(tmp_path / "one")[0]["loss"] != metrics(tmp_path / "two")[0]["loss"]


@pytest.mark.parametrize("regime", [["--fresh", "--no-pairs"], ["--online", "--lora-rank", 2]], ids=["fresh", "online"])
def test_prompts_come_in_turn_from_one_step_to_the_next(synthcl, pipelines, tmp_path, regime):
    (tmp_path / "prompts.txt").write_text("".join(f"{i} cats\n" for i in range(7)))
    run = [*TRAIN, *regime, "--generator", pipelines / "sd", "--prompts", tmp_path / "prompts.txt"]
    synthcl(*run, "--record", tmp_path / "set", "--out", tmp_path / "run")
    drawn = open_shard_set(tmp_path / "set").table()["prompt"].to_pylist()
    assert drawn == [f"{i % 7} cats" for i in range(4 * 4)]


@pytest.mark.parametrize(
    ("kind", "options", "code", "message"),
    [
        ("sd", ["--online"], 2, "draws what prompts say; give some"),
        ("dit", ["--online", "--classes", "12"], 2, "classes must be some of 0 to 9, not [12]"),
        ("dit", ["--online", "--hard-on", "latents"], 2, "--hard-on latents needs a gradient at the latents"),
        ("lcm", ["--online", "--prompts", "PROMPTS"], 1, "does not learn"),
        ("dit", ["--online", "--image-size", 8], 2, "makes images of 16 pixels, and the training is at 8"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(synthcl, pipelines, prompts, tmp_path, kind, options, code, message):
    given = [prompts if word == "PROMPTS" else word for word in options]
    result = synthcl(*TRAIN, "--generator", pipelines / kind, *given, "--out", tmp_path / "run", code=code)
    assert message in " ".join(result.stderr.split())
    assert not (tmp_path / "run").exists()

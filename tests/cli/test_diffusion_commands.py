"""Diffusion generators from the command line: pretrained, resumed, sampled, sharded, and trained jointly."""

import pytest

PRETRAIN = [
    "pretrain", "--generator", "diffusion", "--preset", "tiny", "--data", "digits", "--image-size", 8,
    "--batch-size", 8, "--sampler", "ddim", "--sampling-steps", 2, "--sample-every", 100, "--checkpoint-every", 2,
    "--log-every", 1,
]  # fmt: skip


@pytest.fixture(scope="module")
def diffusion(synthcl, tmp_path_factory):
    path = tmp_path_factory.mktemp("diffusion") / "run"
    synthcl(*PRETRAIN, "--steps", 4, "--out", path)
    return path


def test_what_was_pretrained_opens_in_diffusers_and_resumes_exactly(synthcl, diffusion, tmp_path):
    from diffusers import DiffusionPipeline

    pipeline = DiffusionPipeline.from_pretrained(str(diffusion / "generator"))
    assert pipeline.unet.config.sample_size == 8
    synthcl(*PRETRAIN, "--steps", 2, "--out", tmp_path / "run")
    synthcl(*PRETRAIN, "--steps", 4, "--out", tmp_path / "run")
    for name in ("generator/unet/diffusion_pytorch_model.safetensors", "metrics.jsonl"):
        assert (tmp_path / "run" / name).read_bytes() == (diffusion / name).read_bytes(), name


def test_sampler_and_steps_are_in_the_recipe(synthcl, diffusion, tmp_path):
    base = ["generate", "--generator", diffusion, "--num-samples", 6, "--workers", 0, "--json"]
    hashes = {
        synthcl(*base, *options, "--out", tmp_path / str(i)).json["recipe_hash"]
        for i, options in enumerate([[], ["--sampling-steps", 3], ["--sampler", "dpm"], ["--pairs"]])
    }
    assert len(hashes) == 4
    refused = synthcl(*base, "--out", tmp_path / "0", "--sampling-steps", 3, code=2)
    assert "sampling_steps: 2 there, 3 now" in refused.stderr


@pytest.mark.parametrize("options", [[], ["--lora-rank", 2, "--gradient-steps", 2]])
def test_it_joins_the_online_regime(synthcl, diffusion, tmp_path, options):
    if options:
        pytest.importorskip("peft")
    result = synthcl(
        "train", "--data", "digits", "--image-size", 8, "--batch-size", 8, "--backbone", "resnet10-w8", "--steps", 2,
        "--online", "--generator", diffusion, "--out", tmp_path / "run", *options, "--json",
    ).json  # fmt: skip
    assert result["regime"] == "online" and result["num_synthetic"] == 8


def test_a_frozen_pipeline_cannot_train_along(synthcl, tmp_path):
    from diffusers import DDPMScheduler, UNet2DModel
    from diffusers.pipelines.consistency_models import ConsistencyModelPipeline

    unet = UNet2DModel(
        sample_size=8, in_channels=3, out_channels=3, layers_per_block=1, block_out_channels=(8,), norm_num_groups=4,
        down_block_types=("DownBlock2D",), up_block_types=("UpBlock2D",),
    )  # fmt: skip
    ConsistencyModelPipeline(unet=unet, scheduler=DDPMScheduler()).save_pretrained(tmp_path / "frozen")
    result = synthcl(
        "train", "--data", "digits", "--image-size", 8, "--batch-size", 8, "--backbone", "resnet10-w8", "--steps", 2,
        "--online", "--generator", tmp_path / "frozen", "--out", tmp_path / "run", code=1,
    )  # fmt: skip
    assert "gan" in result.stderr and "diffusion" in result.stderr
    assert not (tmp_path / "run").exists()


def test_an_option_that_the_kind_does_not_take_is_refused(synthcl, generator, tmp_path):
    base = ["generate", "--generator", generator, "--num-samples", 4, "--out", tmp_path / "s"]
    assert "sampler" in synthcl(*base, "--sampler", "ddim", code=1).stderr
    assert not (tmp_path / "s").exists()


@pytest.mark.filterwarnings("ignore:.*local_dir_use_symlinks")
def test_a_hub_id_that_cannot_be_reached_is_a_clear_error(synthcl, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    result = synthcl(
        "generate", "--generator", "nobody/nothing-here", "--num-samples", 4, "--out", tmp_path / "s", code=1
    )
    assert "nobody/nothing-here" in result.stderr

"""Diffusion generators from the command line: pretrained, resumed, sampled, sharded, and trained jointly."""

import json
import shutil

import numpy as np
import pytest
import torch

PRETRAIN = [
    "pretrain", "--generator", "diffusion", "--preset", "tiny", "--data", "digits", "--image-size", 8,
    "--batch-size", 8, "--sampler", "ddim", "--sampling-steps", 2, "--sample-every", 100, "--checkpoint-every", 2,
    "--log-every", 1,
]  # fmt: skip


def tiny_unet():
    from diffusers import UNet2DModel

    return UNet2DModel(
        sample_size=8, in_channels=3, out_channels=3, layers_per_block=1, block_out_channels=(8,), norm_num_groups=4,
        down_block_types=("DownBlock2D",), up_block_types=("UpBlock2D",),
    )  # fmt: skip


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
    assert sorted(path.name for path in (diffusion / "samples").iterdir()) == ["00000004.png"]
    for name in ("generator/unet/diffusion_pytorch_model.safetensors", "metrics.jsonl"):
        assert (tmp_path / "run" / name).read_bytes() == (diffusion / name).read_bytes(), name


def test_diffusers_draws_from_it_unchanged(diffusion):
    from diffusers import DiffusionPipeline

    pipeline = DiffusionPipeline.from_pretrained(str(diffusion / "generator"))
    pipeline.set_progress_bar_config(disable=True)
    images = pipeline(batch_size=2, num_inference_steps=2, output_type="np").images
    assert images.shape == (2, 8, 8, 3) and 0 <= images.min() < images.max() <= 1


WRONG = {
    "unknown preset": (["--preset", "huge"], "'huge': choose from auto, tiny, small, base"),
    "odd size": (["--image-size", 15], "not 15: try 8, 16, 32 or 64"),
    "too large": (["--image-size", 256], "from 8 to 128, not 256"),
    "too many steps": (["--sampling-steps", 1001], "from 1 to 1000, not 1001"),
    "unknown sampler": (["--sampler", "euler"], "'ddim', 'dpm'"),
    "sampler of a gan": (
        ["--generator", "gan"],
        "--sampler, --sampling-steps cannot be given here",
    ),
}


@pytest.mark.parametrize(("options", "message"), WRONG.values(), ids=WRONG.keys())
def test_wrong_options_get_a_sentence_and_leave_nothing(synthcl, tmp_path, options, message):
    result = synthcl(*PRETRAIN, *options, "--steps", 2, "--out", tmp_path / "run", code=2)
    assert message in " ".join(result.stderr.split())
    assert not (tmp_path / "run").exists()


def test_sampler_and_steps_are_in_the_recipe(synthcl, diffusion, tmp_path):
    base = ["generate", "--generator", diffusion, "--num-samples", 6, "--workers", 0, "--json"]
    hashes = {
        synthcl(*base, *options, "--out", tmp_path / str(i)).json["recipe_hash"]
        for i, options in enumerate([[], ["--sampling-steps", 3], ["--sampler", "dpm"], ["--pairs"]])
    }
    assert len(hashes) == 4
    refused = synthcl(*base, "--out", tmp_path / "0", "--sampling-steps", 3, code=2)
    assert "sampling_steps: 2 there, 3 now" in refused.stderr


def test_versions_are_in_the_recipe_so_that_no_set_mixes_two(synthcl, diffusion, tmp_path, monkeypatch):
    base = ["generate", "--generator", diffusion, "--samples-per-shard", 2, "--workers", 0, "--out", tmp_path / "s"]
    synthcl(*base, "--num-samples", 2)
    recipe = json.loads((tmp_path / "s" / ".synthcl" / "shardset.json").read_text())["recipe"]
    assert recipe["generator"]["versions"]["torch"] == torch.__version__
    monkeypatch.setattr("synthcl.generators.diffusion.generator.diffusers_version", "99.0")
    refused = synthcl(*base, "--num-samples", 4, code=2).stderr
    assert "generator.versions.diffusers" in refused and '"99.0" now' in refused


@pytest.mark.parametrize("options", [[], ["--pairs"]])
def test_a_set_is_the_same_bytes_by_any_number_of_jobs_and_the_same_images_in_any_batch(
    synthcl, diffusion, tmp_path, options
):
    from synthcl.pipeline.shards import open_shard_store

    base = ["generate", "--generator", diffusion, "--num-samples", 20, "--samples-per-shard", 6, "--workers", 0]
    base += [*options, "--out"]
    synthcl(*base, tmp_path / "one")
    for job in (2, 0, 1):
        synthcl(*base, tmp_path / "three", "--num-jobs", 3, "--job-index", job)
    synthcl(*base, tmp_path / "batches", "--batch-size", 4)
    tars = sorted(path.name for path in (tmp_path / "one").glob("*.tar"))
    assert len(tars) == 4
    for name in tars:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "three" / name).read_bytes()
    one, batches = (open_shard_store(tmp_path / name) for name in ("one", "batches"))
    first, second = one.read(np.arange(20)), batches.read(np.arange(20))
    # Float rounding may differ between batches of another size, and tip a pixel to the next of 256 levels.
    difference = (first.int() - second.int()).abs()
    assert difference.max() <= 1 and (difference > 0).float().mean() < 0.01


ONLINE = [
    "train", "--data", "digits", "--image-size", 8, "--batch-size", 8, "--backbone", "resnet10-w8", "--steps", 4,
    "--checkpoint-every", 2, "--keep", 2, "--log-every", 1, "--precision", "fp32", "--online", "--json",
]  # fmt: skip


@pytest.mark.parametrize("options", [[], ["--lora-rank", 2]], ids=["whole", "adapters"])
def test_fresh_and_online_are_known_to_draw_from_the_same_generator(synthcl, diffusion, tmp_path, options):
    run = ["train", "--data", "digits[:64]", "--image-size", 8, "--batch-size", 8, "--backbone", "resnet10-w8"]
    run += ["--steps", 1, "--sampling-steps", 2, "--generator", diffusion, "--json"]
    known = set()
    for seed in range(2):
        for name, regime in {"fresh": ["--fresh"], "online": ["--online", *options]}.items():
            found = synthcl(*run, *regime, "--seed", seed, "--out", tmp_path / f"{name}-{seed}").json
            known.add((found["generator_hash"], found["generator_sampling"]))
    assert len(known) == 1


def test_a_folder_of_others_that_fresh_and_online_draw_from_in_two_ways_is_no_fair_comparison(
    synthcl, build_pipeline, tmp_path
):
    build_pipeline("DDPMPipeline").save_pretrained(tmp_path / "ddpm")
    runs = ["compare", "--data", "digits[:64]", "--image-size", 8, "--batch-size", 8, "--backbone", "resnet10-w8"]
    runs += ["--steps", 1, "--seeds", 1, "--regimes", "fresh,online", "--generator", tmp_path / "ddpm", "--no-pairs"]
    found = synthcl(*runs, "--sampling-steps", 2, "--label-fraction", 1, "--out", tmp_path / "out", "--json").json
    assert any("how the generator draws: 'DDPMScheduler in 2 steps'" in line for line in found["mismatches"])


@pytest.mark.parametrize("options", [[], ["--lora-rank", 2, "--gradient-steps", 2]])
def test_it_joins_the_online_regime_and_resumes_bit_for_bit(synthcl, diffusion, tmp_path, options):
    if options:
        pytest.importorskip("peft")
    run = [*ONLINE, "--generator", diffusion, *options, "--out"]
    result = synthcl(*run, tmp_path / "whole").json
    assert result["regime"] == "online" and result["num_synthetic"] == 4 * 4
    rows = [json.loads(line) for line in (tmp_path / "whole" / "metrics.jsonl").read_text().splitlines()]
    assert all(row["hard_ratio"] > 0 for row in rows[1:]), "the learner's gradient should reach what is trained"

    # As kill -9 after the second checkpoint leaves it: without what came later.
    shutil.copytree(tmp_path / "whole", tmp_path / "cut")
    for name in ("checkpoints/step-00000004", "encoder", "generator"):
        shutil.rmtree(tmp_path / "cut" / name)
    (tmp_path / "cut" / "result.json").unlink()
    synthcl(*run, tmp_path / "cut")
    names = ["metrics.jsonl", "encoder/model.safetensors", "generator/unet/diffusion_pytorch_model.safetensors"]
    names += [f"checkpoints/step-00000004/{part.name}" for part in (tmp_path / "whole").glob("checkpoints/*4/*.safe*")]
    assert len(names) > 3
    for name in names:
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name


def test_a_frozen_pipeline_cannot_train_along(synthcl, tmp_path):
    from diffusers import CMStochasticIterativeScheduler, ConsistencyModelPipeline

    ConsistencyModelPipeline(unet=tiny_unet(), scheduler=CMStochasticIterativeScheduler()).save_pretrained(
        tmp_path / "frozen"
    )
    result = synthcl(
        "train", "--data", "digits", "--image-size", 8, "--batch-size", 8, "--backbone", "resnet10-w8", "--steps", 2,
        "--online", "--generator", tmp_path / "frozen", "--out", tmp_path / "run", code=1,
    )  # fmt: skip
    assert "gan" in result.stderr and "diffusion" in result.stderr
    assert not (tmp_path / "run").exists()


def test_pairs_that_a_pipeline_cannot_give_are_refused_before_anything_is_written(synthcl, tmp_path):
    from diffusers import PNDMPipeline, PNDMScheduler

    PNDMPipeline(unet=tiny_unet(), scheduler=PNDMScheduler(skip_prk_steps=True)).save_pretrained(tmp_path / "pndm")
    base = ["generate", "--generator", tmp_path / "pndm", "--sampling-steps", 5, "--num-samples", 2, "--pairs"]
    base += ["--workers", 0, "--out", tmp_path / "s"]
    assert "choose sampling_steps, or sampler dpm or ddim" in " ".join(synthcl(*base, code=2).stderr.split())
    assert not (tmp_path / "s").exists()
    assert synthcl(*base, "--sampler", "dpm", "--json").json["complete"]


def test_an_option_that_the_kind_does_not_take_is_refused(synthcl, generator, tmp_path):
    base = ["generate", "--generator", generator, "--num-samples", 4, "--out", tmp_path / "s"]
    assert "sampler" in synthcl(*base, "--sampler", "ddim", code=2).stderr
    assert not (tmp_path / "s").exists()


@pytest.mark.filterwarnings("ignore:.*local_dir_use_symlinks")
def test_a_hub_id_that_cannot_be_reached_is_a_clear_error(synthcl, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    result = synthcl(
        "generate", "--generator", "nobody/nothing-here", "--num-samples", 4, "--out", tmp_path / "s", code=1
    )
    assert "nobody/nothing-here" in result.stderr


@pytest.mark.filterwarnings("ignore:The `local_dir_use_symlinks` argument")  # diffusers passes the hub's client that
@pytest.mark.parametrize(
    ("source", "index", "message"),
    [
        ("me/pipe", {"unet": ["my_unet", "MyUNet"]}, "trust_remote_code runs it"),
        ("hf://me/pipe", {"unet": ["my_unet", "MyUNet"]}, "trust_remote_code runs it"),
        ("me/pipe", {}, "if its weights are pickled files and you trust them"),
        ("hf://me/pipe", {}, "neither code nor pickles from the hub are run or read here"),
    ],
)
def test_code_and_pickles_on_the_hub_are_refused_in_a_sentence(
    synthcl, hub, build_pipeline, tmp_path, source, index, message
):
    folder, ran = tmp_path / "pipe", tmp_path / "ran"
    build_pipeline("DDPMPipeline").save_pretrained(folder)
    for script in ("my_unet.py", "unet/my_unet.py"):
        (folder / script).write_text(f"open({str(ran)!r}, 'w')")
    weights = folder / "unet" / "diffusion_pytorch_model.safetensors"
    weights.with_suffix(".bin").write_bytes(b"no pickle")
    if index:
        (folder / "model_index.json").write_text(
            json.dumps(json.loads((folder / "model_index.json").read_text()) | index)
        )
    else:
        weights.unlink()
    files = {f.relative_to(folder).as_posix(): f.read_bytes() for f in folder.rglob("*") if f.is_file()}
    hub.put("model", "me/pipe", files)
    out = tmp_path / "set"
    refused = synthcl("generate", "--generator", source, "--num-samples", 2, "--out", out, code=1)
    assert message in " ".join(refused.stderr.split())
    assert not ran.exists() and not out.exists() and not any(name.endswith((".py", ".bin")) for name in hub.fetched)

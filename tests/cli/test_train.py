"""The train command: regimes from options to a run, and launchers and folders that it refuses."""

import json

import pytest
from safetensors.torch import load_file


@pytest.mark.parametrize("learner", ["simclr", "moco"])
def test_every_regime_trains_from_the_command_line(train, synthcl, generator, tmp_path, learner):
    shards = tmp_path / "shards"
    made = synthcl(
        "generate", "--generator", generator, "--num-samples", 40, "--samples-per-shard", 16, "--pairs",
        "--out", shards, "--workers", 0, "--json",
    ).json  # fmt: skip
    assert made["complete"] and not made["reused"] and made["num_shards"] == 3
    options = ["--learner", learner] + (["--queue-size", 64] if learner == "moco" else [])
    regimes = {
        "real": [],
        "offline": ["--shards", shards],
        "online": ["--online", "--generator", generator],
    }
    for regime, sources in regimes.items():
        result = train(tmp_path / regime, *options, *sources).json
        assert result["regime"] == regime and result["steps"] == 4
        assert result["num_synthetic"] == (0 if regime == "real" else 4 * 8)
        assert (tmp_path / regime / "encoder" / "model.safetensors").exists()
        again = train(tmp_path / regime, *options, *sources).json
        assert again == result
    assert (tmp_path / "online" / "generator" / "config.json").exists()
    rows = [json.loads(line) for line in (tmp_path / "online" / "metrics.jsonl").read_text().splitlines()]
    assert rows[-1]["step"] == 4 and {"pair_similarity", "margin", "hard_ratio"} <= set(rows[-1])


def test_a_batch_in_parts_starts_with_the_loss_of_the_whole_one(train, generator, tmp_path):
    """Up to the statistics of the parts: the first loss has the same negatives, so it is near, not half."""
    losses = {}
    for parts in (1, 2):
        options = ["--online", "--generator", generator, "--accumulate", parts, "--log-every", 1]
        train(tmp_path / f"{parts}", *options)
        losses[parts] = json.loads((tmp_path / f"{parts}" / "metrics.jsonl").read_text().splitlines()[0])["loss"]
    assert losses[1] != losses[2] and losses[2] == pytest.approx(losses[1], rel=0.05)


def test_accumulation_by_the_launcher_is_refused(train, tmp_path, monkeypatch):
    monkeypatch.setenv("ACCELERATE_GRADIENT_ACCUMULATION_STEPS", "4")
    assert "--accumulate" in train(tmp_path / "run", code=2).stderr


def test_a_launcher_that_starts_one_process_for_several_is_refused(train, tmp_path, monkeypatch):
    """What `accelerate launch --cpu --num_processes 2` leaves in the environment of the one process that it starts."""
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "no")
    monkeypatch.setenv("MASTER_PORT", "29500")
    assert "torchrun --nproc_per_node N" in train(tmp_path / "run", code=2).stderr


def test_shards_of_another_size_are_refused(train, synthcl, generator, tmp_path):
    synthcl("generate", "--generator", generator, "--num-samples", 10, "--out", tmp_path / "s", "--workers", 0)
    result = train(tmp_path / "run", "--shards", tmp_path / "s", "--image-size", 16, code=2)
    assert "8 pixels" in result.stderr and "16" in result.stderr
    assert not (tmp_path / "run").exists()


def test_a_folder_that_holds_another_run_is_refused(train, tmp_path):
    train(tmp_path / "run")
    result = train(tmp_path / "run", "--seed", 1, code=2)
    assert "--seed: 0 there, 1 now" in result.stderr


FROZEN = ["--learner", "mocov3", "--learner-option", "freeze_patches=true", "--learner-option", "hidden_dim=8"]


def test_the_patches_of_a_vision_transformer_are_frozen_if_asked(train, tmp_path):
    pytest.importorskip("timm")
    vit = ["--backbone", "timm:test_vit", "--image-size", 32, "--batch-size", 8]
    after = {}
    for steps in (1, 3):
        train(tmp_path / f"{steps}", *FROZEN, *vit, steps=steps)
        after[steps] = load_file(tmp_path / f"{steps}" / "encoder" / "model.safetensors")
    same = {name for name in after[1] if after[1][name].equal(after[3][name])}
    assert {name for name in same if "weight" in name} == {"patch_embed.proj.weight"}


def test_patches_are_not_frozen_where_there_are_none(train, tmp_path):
    refused = train(tmp_path / "run", *FROZEN, code=2)
    assert "freeze_patches must be False for a ResNet, which takes no patches" in " ".join(refused.stderr.split())
    assert not (tmp_path / "run").exists()

"""--generator-precision: part of what a run and a shard set are."""

import hashlib
import json
import shutil

import pytest

PRETRAIN = ["pretrain", "--data", "digits", "--image-size", 8, "--preset", "tiny", "--batch-size", 8, "--steps", 4,
            "--checkpoint-every", 2, "--sample-every", 100]  # fmt: skip
TRAIN = ["train", "--data", "digits", "--image-size", 8, "--batch-size", 8, "--backbone", "resnet10-w8", "--precision",
         "fp32", "--steps", 4, "--checkpoint-every", 2, "--log-every", 1]  # fmt: skip


def cut(run, target):
    """The run as one leaves it that was killed after its second step."""
    shutil.copytree(run, target)
    (target / "result.json").unlink()
    shutil.rmtree(sorted((target / "checkpoints").iterdir())[-1])
    shutil.rmtree(target / "generator", ignore_errors=True)
    return target


def weights(folder):
    files = sorted(folder.rglob("*.safetensors"))
    return {str(f.relative_to(folder)): hashlib.sha256(f.read_bytes()).hexdigest() for f in files}


def runs(generator):
    return {
        "pretrain": PRETRAIN,
        "fresh": [*TRAIN, "--fresh", "--generator", generator],
        "online": [*TRAIN, "--online", "--generator", generator],
    }


@pytest.mark.parametrize("name", ["pretrain", "fresh", "online"])
def test_a_run_keeps_to_its_precision_and_resumes_exactly_in_it(synthcl, generator, tmp_path, name):
    command, half = runs(generator)[name], ["--generator-precision", "bf16"]
    exact = synthcl(*command, "--out", tmp_path / "fp32", "--json").json
    result = synthcl(*command, *half, "--out", tmp_path / "bf16", "--json").json
    assert (exact["generator_precision"], result["generator_precision"]) == ("fp32", "bf16")
    assert weights(tmp_path / "fp32") != weights(tmp_path / "bf16")
    taken_up = cut(tmp_path / "bf16", tmp_path / "cut")
    refused = " ".join(synthcl(*command, "--out", taken_up, code=2).stderr.split())
    assert "--generator-precision: 'bf16' there, 'fp32' now" in refused
    synthcl(*command, *half, "--out", taken_up)
    assert weights(taken_up) == weights(tmp_path / "bf16")
    # What `auto` came to may be asked for by name.
    taken_up = cut(tmp_path / "fp32", tmp_path / "cut32")
    synthcl(*command, "--generator-precision", "fp32", "--out", taken_up)
    assert weights(taken_up) == weights(tmp_path / "fp32")


def test_a_run_of_before_there_was_a_choice_is_one_in_fp32(synthcl, tmp_path):
    synthcl(*PRETRAIN, "--out", tmp_path / "run")
    old = cut(tmp_path / "run", tmp_path / "old")
    record = json.loads((old / "run.json").read_text())
    del record["came_to"]
    (old / "run.json").write_text(json.dumps(record))
    lines = (old / "config.yaml").read_text().splitlines(keepends=True)
    (old / "config.yaml").write_text("".join(line for line in lines if "generator_precision" not in line))
    refused = synthcl(*PRETRAIN, "--generator-precision", "bf16", "--out", old, code=2).stderr
    assert "--generator-precision: 'fp32' there, 'bf16' now" in " ".join(refused.split())
    synthcl(*PRETRAIN, "--out", old)
    assert weights(old) == weights(tmp_path / "run")


def test_a_shard_set_keeps_to_its_precision(synthcl, generator, tmp_path):
    def generate(name, *options, code=0):
        command = ["generate", "--generator", generator, "--num-samples", 20, "--workers", 0, "--out", tmp_path / name]
        return synthcl(*command, *options, "--json", code=code)

    exact = generate("fp32").json
    assert generate("named", "--generator-precision", "fp32").json["recipe_hash"] == exact["recipe_hash"]
    half = generate("bf16", "--generator-precision", "bf16").json
    assert half["recipe_hash"] != exact["recipe_hash"]
    refused = generate("fp32", "--generator-precision", "bf16", code=2)
    assert "generator_precision" in refused.stderr
    for name in ("fp32", "bf16"):
        recipe = json.loads((tmp_path / name / ".synthcl" / "shardset.json").read_text())["recipe"]
        assert recipe.get("generator_precision", "fp32") == name


def test_the_former_flag_of_pretrain_says_what_it_is_now(synthcl, tmp_path, caplog):
    first = synthcl(*PRETRAIN, "--bf16", "--out", tmp_path / "flag", "--json").json
    assert "--bf16 is now --generator-precision bf16" in caplog.text
    assert first["generator_precision"] == "bf16"
    second = synthcl(*PRETRAIN, "--generator-precision", "bf16", "--out", tmp_path / "option", "--json").json
    assert second["generator_hash"] == first["generator_hash"]
    assert synthcl(*PRETRAIN, "--generator-precision", "bf16", "--out", tmp_path / "flag", "--json").json == first


WRONG = {
    "fp16 on a CPU": (["generate", "--num-samples", 4, "--generator-precision", "fp16"], "fp16 needs a GPU"),
    "fp16 in a picture": (["preview", "--generator-precision", "fp16"], "fp16 needs a GPU"),
    "fp16 in training": ([*TRAIN, "--online", "--generator-precision", "fp16"], "generator that stays as it is"),
    "no precision": (["preview", "--generator-precision", "fp8"], "'fp8' is not one of"),
    "no generator": ([*TRAIN, "--generator-precision", "bf16"], "means nothing in the regime real"),
}


@pytest.mark.parametrize(("command", "message"), WRONG.values(), ids=WRONG.keys())
def test_wrong_usage(synthcl, generator, tmp_path, command, message):
    source = ["--generator", generator] if "--generator-precision" in command and "real" not in message else []
    out = tmp_path / ("x.png" if command[0] == "preview" else "out")
    result = synthcl(*command, *source, "--out", out, code=2)
    assert message in " ".join(result.stderr.split())
    assert not (tmp_path / "out" / "run.json").exists()


def test_the_former_flag_against_the_option(synthcl, tmp_path):
    result = synthcl(*PRETRAIN, "--bf16", "--generator-precision", "fp32", "--out", tmp_path / "x", code=2)
    assert "cannot be given with --generator-precision fp32" in " ".join(result.stderr.split())

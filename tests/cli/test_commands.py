"""The commands as users call them: the main job end to end, and wrong input in a sentence."""

import io
import json
import subprocess
import sys
import tarfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from PIL import Image

from synthcl.cli import main
from synthcl.pipeline.configs.train import TrainConfig
from synthcl.pipeline.runs.opening import open_run

TINY = ["--image-size", "8", "--batch-size", "16", "--backbone", "resnet10-w8", "--precision", "fp32"]


def test_help_is_quick_to_load_and_needs_no_torch():
    script = "import sys; from synthcl.cli import main; main(['train', '--help'], standalone_mode=False); " + (
        "print('torch' in sys.modules, 'diffusers' in sys.modules, file=sys.stderr)"
    )
    for arguments in ("['--help']", "['train', '--help']", "['generate', '--help']"):
        code = script.replace("['train', '--help']", arguments, 1)
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert done.stderr.split() == ["False", "False"]
        assert "Usage:" in done.stdout


def test_pretraining_leaves_a_generator_and_pictures(generator):
    assert (generator / "generator" / "config.json").exists()
    assert sorted(p.name for p in (generator / "samples").iterdir()) == ["00000002.png", "00000003.png"]


def damaged_parquet(path):
    def jpeg(value):
        buffer = io.BytesIO()
        Image.fromarray(np.full((8, 8, 3), value, np.uint8)).save(buffer, "JPEG")
        return buffer.getvalue()

    images = [{"bytes": jpeg(i), "path": f"{i}.jpg"} for i in range(40)]
    images[17]["bytes"] = images[17]["bytes"][:-40]
    pq.write_table(pa.table({"img": images, "label": list(range(40))}), path)
    return path


def test_a_part_of_the_images_from_training_to_the_model_card(train, synthcl, tmp_path):
    run, spec = tmp_path / "run", "digits[:10%,balanced]"
    result = train(run, "--data", spec, "--eval-every", 2).json
    assert result["num_images"] == 144
    assert "data: digits[:10%,balanced]" in (run / "config.yaml").read_text()
    assert "knn_top1" in json.loads((run / "metrics.jsonl").read_text().splitlines()[-1])
    assert train(run, "--data", spec, "--eval-every", 2).json == result
    assert "--data: 'digits[:10%,balanced]' there, 'digits' now" in train(run, code=2).stderr

    other_seed = train(tmp_path / "other", "--data", spec, "--seed", 1).json
    assert other_seed["num_images"] == 144 and other_seed["loss"] != result["loss"]
    part = synthcl("eval", "knn", run, "--data", spec, "--json").json
    whole = synthcl("eval", "knn", run, "--data", "digits", "--json").json
    assert (part["num_train"], part["num_test"], part["data"]) == (144, 355, "digits:train[:10%,balanced]")
    assert (whole["num_train"], whole["num_test"], whole["data"]) == (1442, 355, "digits:train")
    assert part["test_data"] == whole["test_data"] == "digits:test" and part["warnings"] != whole["warnings"]
    assert len(list((run / "cache" / "features").iterdir())) == 3  # the part, the whole, the test split

    synthcl("export", run, "--to", "safetensors", "--out", tmp_path / "export")
    card = (tmp_path / "export" / "README.md").read_text()
    assert "| data | digits[:10%,balanced] (144 images) |" in card and "--data 'digits[:10%,balanced]'" in card
    assert "| knn | digits:train[:10%,balanced] | digits:test |" in card


def test_a_part_is_embedded_and_pretrained_on(train, synthcl, tmp_path):
    train(tmp_path / "run", "--data", "digits[:20]")
    synthcl(
        "embed", tmp_path / "run", "--data", "digits[3:5]", "--data", "digits:test[-1:]", "--out",
        tmp_path / "e.parquet",
    )  # fmt: skip
    table = pq.read_table(tmp_path / "e.parquet").to_pydict()
    assert table["source"] == ["digits:train[3:5]"] * 2 + ["digits:test[-1:]"] and table["key"] == ["3", "4", "354"]
    result = synthcl(
        "pretrain", "--data", "digits[:50%,shuffled,seed=3]", "--image-size", 8, "--preset", "tiny", "--steps", 1,
        "--batch-size", 8, "--out", tmp_path / "gan", "--json",
    ).json  # fmt: skip
    assert result["num_images"] == 721


WRONG = {
    "missing path": (["--data", "nowhere/"], 2, "nowhere"),
    "a slice outside of the set": (
        ["--data", "digits[:1443]"],
        2,
        "1443 is outside of digits:train, which has 1,442",
    ),
    "an empty slice": (["--data", "digits[5:5]"], 2, "digits:train[5:5] holds no image"),
    "no percent": (["--data", "digits[:0%]"], 2, "come to 0 and 0 of the 1,442 images"),
    "a malformed slice": (["--data", "digits[10%]"], 2, "the first 10% is [:10%]"),
    "an unknown word": (["--data", "digits[:10%,balance]"], 2, "did you mean balanced?"),
    "a part smaller than the batch": (["--data", "digits[:10]"], 2, "larger than the set of 10 images"),
    "a part of shards": (["--shards", "shards/c10[:10%]"], 2, "give --shards shards/c10 with --where"),
    "unknown split": (["--data", "digits:half"], 2, "train, test"),
    "unknown learner": (["--learner", "simlcr"], 2, "did you mean 'simclr'?"),
    "unknown backbone": (["--backbone", "resnet81"], 2, "resnet18"),
    "online without generator": (["--online"], 2, "--online needs --generator"),
    "generator without online": (["--generator", "x"], 2, "--generator is for --online"),
    "batch larger than the set": (["--batch-size", 5000], 2, "5000"),
    "a batch that parts do not share": (["--accumulate", 3], 2, "--batch-size (16) cannot be shared evenly by --accum"),
    "parts and compile": (["--accumulate", 2, "--compile"], 2, "--compile cannot be given with --accumulate"),
    "no length": (["--steps", "none"], 2, "not a valid integer"),
    "both lengths": (["--epochs", 1], 2, "either --epochs or --steps"),
    "ratio too small": (
        ["--online", "--generator", "GENERATOR", "--synthetic-ratio", 0.01],
        2,
        "--synthetic-ratio 0.01",
    ),
    "no such generator": (["--online", "--generator", "nowhere"], 1, "nowhere"),
    "a run for a generator": (
        ["--online", "--generator", "RUN"],
        1,
        "is a run of `synthcl train` and has no generator; give a run of `synthcl pretrain`",
    ),
    "a run for a set": (["--shards", "RUN"], 1, "is a run of `synthcl train`, no shard set"),
    "no such shards": (["--shards", "nowhere"], 1, "nowhere"),
    "shards and online": (["--shards", "x", "--online", "--generator", "x"], 2, "cannot be given with --shards"),
    "fresh and online": (["--fresh", "--online", "--generator", "x"], 2, "--online cannot be given with --fresh"),
    "fresh without generator": (["--fresh"], 2, "--fresh needs --generator DIR"),
    "fresh and hard": (["--fresh", "--generator", "x", "--hard"], 2, "--hard means nothing in the regime fresh"),
    "hard in real": (["--no-hard"], 2, "--no-hard means nothing in the regime real; it is for online"),
    "an option of another learner": (["--queue-size", 64], 2, "--queue-size 64 is for --learner moco or nnclr"),
    "fp16 without a GPU": (["--precision", "fp16"], 2, "needs a GPU"),
    "no distance of adversarial views": (["--adversarial", 0], 2, "--adversarial must be above 0, not 0.0"),
    "a negative distance": (["--adversarial", -0.1], 2, "--adversarial must be above 0, not -0.1"),
    "a distance beyond the range": (["--adversarial", 1.5], 2, "--adversarial must be at most 1, not 1.5"),
    "adversarial views compiled": (["--adversarial", 0.1, "--compile"], 2, "--compile cannot be given with --adv"),
    "a learner without clsp": (
        ["--fresh", "--generator", "GENERATOR", "--synthetic-loss", "clsp", "--learner", "byol"],
        2,
        "BYOL does not have the loss 'clsp'",
    ),
    "clsp and negatives": (
        ["--fresh", "--generator", "x", "--synthetic-loss", "clsp", "--synthetic-negatives"],
        2,
        "leave --synthetic-negatives out",
    ),
    "clsp and no negatives": (
        ["--fresh", "--generator", "x", "--synthetic-loss", "clsp", "--no-synthetic-negatives"],
        2,
        "--no-synthetic-negatives cannot be given",
    ),
    "clsp and a gate": (
        ["--online", "--generator", "x", "--synthetic-loss", "clsp", "--hard-gate", 1],
        2,
        "--hard-gate compares",
    ),
    "a recipe and other views": (
        ["--shards", "x", "--recipe", "adainf", "--views", "simclr"],
        2,
        "--recipe adainf sets --views adainf; --views simclr cannot",
    ),
    "similarity out of range": (["--pair-similarity", "1:2"], 2, "'1:2'"),
}


@pytest.mark.parametrize(("options", "code", "message"), WRONG.values(), ids=WRONG.keys())
def test_wrong_input_gets_a_sentence_and_leaves_nothing(train, generator, tmp_path, options, code, message):
    import torch

    if "fp16" in options and torch.cuda.is_available():
        pytest.skip("there is a GPU, where fp16 is right")
    if "RUN" in options:
        open_run(tmp_path / "real", "train", TrainConfig(data="digits", out="real", steps=1))
    places = {"GENERATOR": generator, "RUN": tmp_path / "real"}
    options = [places.get(option, option) for option in options]
    result = train(tmp_path / "run", *options, code=code)
    assert message in " ".join(result.stderr.split())
    assert not (tmp_path / "run").exists()


def test_wrong_parts_elsewhere_get_a_sentence_too(train, synthcl, tmp_path):
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(tmp_path / "a.png")
    result = train(tmp_path / "run", "--data", f"{tmp_path}/*.png[:1,balanced]", code=2)
    assert "has no labels to balance; write shuffled for balanced" in " ".join(result.stderr.split())
    result = synthcl(
        "compare", "--data", "digits", "--regimes", "real,offline", "--shards", "c10[:10%]", "--steps", 1, "--out",
        tmp_path / "compared", code=2,
    )  # fmt: skip
    assert "give --shards c10 with --where" in " ".join(result.stderr.split())
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_a_truncated_image_is_named_with_its_position_before_training(synthcl, tmp_path):
    data = damaged_parquet(tmp_path / "train.parquet")
    result = synthcl("train", "--data", data, "--out", tmp_path / "run", "--steps", 2, *TINY, code=1)
    assert "17" in result.stderr and "train.parquet" in result.stderr
    assert not (tmp_path / "run" / "result.json").exists()
    assert not (tmp_path / "run" / "encoder").exists()


def empty_folder(folder):
    (folder / "empty").mkdir()
    return folder / "empty"


def no_image(folder):
    (folder / "photos").mkdir()
    for i in range(20):
        Image.fromarray(np.full((8, 8, 3), i, np.uint8)).save(folder / "photos" / f"{i}.png")
    (folder / "photos" / "a.jpg").write_text("these are words")
    return folder / "photos"


def parquet_without_images(folder):
    pq.write_table(pa.table({"text": ["a", "b"], "label": [0, 1]}), folder / "words.parquet")
    return folder / "words.parquet"


def truncated_in_a_tar(folder):
    with tarfile.open(folder / "images.tar", "w") as tar:
        for i in range(24):
            buffer = io.BytesIO()
            Image.fromarray(np.full((8, 8, 3), i, np.uint8)).save(buffer, "JPEG")
            data = buffer.getvalue()[: -30 if i == 13 else None]
            member = tarfile.TarInfo(f"{i:03d}.jpg")
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return folder / "images.tar"


BAD_DATA = {
    "empty folder": (empty_folder, "empty"),
    "a file that is no image": (no_image, "a.jpg"),
    "a Parquet file without images": (parquet_without_images, "text"),
    "a truncated image in a tar": (truncated_in_a_tar, "013"),
}


@pytest.mark.parametrize(("make", "message"), BAD_DATA.values(), ids=BAD_DATA.keys())
@pytest.mark.parametrize("command", ["train", "pretrain"])
def test_bad_data_is_named_and_leaves_no_result(tmp_path, make, message, command):
    options = TINY if command == "train" else ["--image-size", "8", "--batch-size", "8", "--preset", "tiny"]
    arguments = [command, "--data", make(tmp_path), "--out", tmp_path / "run", "--steps", 2, *options]
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exit_code in (1, 2)
    assert result.stderr.count("Error:") == 1 and message in result.stderr
    assert not (tmp_path / "run" / "result.json").exists()
    assert not (tmp_path / "run" / "encoder").exists() and not (tmp_path / "run" / "generator").exists()

"""Wrong input, over all commands: each gets a sentence that says what to do, the right exit code, and leaves all as it
was."""

import os
import shlex
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from synthcl.learners import create_backbone
from synthcl.pipeline.configs.train import TrainConfig
from synthcl.pipeline.encoder import Encoder
from synthcl.pipeline.runs.opening import Terms, open_run
from synthcl.pipeline.shards import write_shard_set

OPTIONS = {"data": "digits", "image_size": 8, "batch_size": 16, "backbone": "resnet10-w8", "precision": "fp32"}
OF_RUN = "--data digits --image-size 8 --backbone resnet10-w8 --precision fp32"
RESULT = {
    "regime": "real", "learner": "simclr", "backbone": "resnet10-w8", "steps": 4, "epochs": 0.044, "loss": 2.0,
    "seconds": 1.0, "images_per_second": 64.0, "num_images": 1442, "num_synthetic": 0,
}  # fmt: skip


def render(indices):
    return (np.asarray(indices)[:, None, None, None, None] * np.ones((1, 1, 3, 8, 8))).astype(np.uint8)


def make_run(path, *, finished):
    run = open_run(path, "train", TrainConfig(**OPTIONS, out=path.name, steps=4), Terms(steps=4))
    if finished:
        Encoder(create_backbone("resnet10-w8", image_size=8), "resnet10-w8", 8).save(path / "encoder")
        run.finish({"run": str(path), **RESULT})


@pytest.fixture(scope="module")
def place(generator, tmp_path_factory):
    """A folder of things that can be mistaken: runs, generators, sets, and what is none of these."""
    place = tmp_path_factory.mktemp("place")
    make_run(place / "run", finished=True)
    make_run(place / "begun", finished=False)
    make_run(place / "damaged", finished=True)
    (place / "damaged" / "result.json").write_text('{"half')
    (place / "gan").symlink_to(generator)
    write_shard_set(place / "set", {"seed": 7}, 30, 10, render, workers=0)
    write_shard_set(place / "partial", {}, 30, 10, render, workers=0, num_processes=2)
    write_shard_set(place / "lost", {}, 10, 10, render, workers=0)
    (place / "lost" / "000000.tar").unlink()
    (place / "file").write_text("words")
    (place / "full").mkdir()
    (place / "full" / "thesis.tex").write_text("years of work")
    (place / "empty").mkdir()
    for name, text in (("list", "- 1"), ("bad", "steps: [1"), ("misspelt", "stepz: 3"), ("typed", "steps: many")):
        (place / f"{name}.yaml").write_text(text)
    (place / "bytes.yaml").write_bytes(b"\xff\xfe\x00")
    pq.write_table(pa.table({"text": ["a", "b"]}), place / "words.parquet")
    return place


NEW = "train --data digits --out new --steps 2"
WRONG = [
    ("trian", 2, "there is no command 'trian' (did you mean 'train'?)"),
    ("--versoin", 2, "No such option '--versoin'"),
    ("train", 2, "Missing option '--data': Images"),
    ("train --data digits --steps 2", 2, "Missing option '--out': Folder of the run"),
    ("train --data digits --out new", 2, "give the length of the training as either --epochs or --steps"),
    (f"{NEW} --epochs 1", 2, "give the length of the training as either --epochs or --steps"),
    ("train --data digits --out new --steps 0", 2, "--steps must be at least 1, not 0"),
    ("train --data digits --out new --steps -3", 2, "--steps must be at least 1, not -3"),
    ("train --data digits --out new --steps 2.5", 2, "'2.5' is not a valid integer"),
    (f"{NEW} --batch-size 1", 2, "--batch-size must be at least 2, not 1"),
    (f"{NEW} --batch-sise 16", 2, "No such option '--batch-sise'"),
    ("train --data digits --out file --steps 2", 1, "--out file is a file; give a folder"),
    (
        "train --data digits --out full --steps 2",
        1,
        "--out full is not empty and holds no run of synthcl; give a new or empty folder",
    ),
    (
        f"train {OF_RUN} --batch-size 16 --out run --steps 2",
        2,
        "is finished, with 4 steps; its weights are not those of a training of 2. Give --steps 4 or more",
    ),
    (f"train {OF_RUN} --batch-size 32 --out run --steps 4", 2, "They differ in --batch-size: 16 there, 32 now"),
    (f"train {OF_RUN} --batch-size 16 --out damaged --steps 4", 1, "damaged/result.json is damaged"),
    ("train --data nowhere/ --out new --steps 2", 2, "there is no data at 'nowhere/': give a path to images"),
    ("train --data cifar11 --out new --steps 2", 2, "(did you mean cifar10 or cifar100?)"),
    ("train --data empty --out new --steps 2", 1, "empty holds no images"),
    ("train --data words.parquet --out new --steps 2", 1, "words.parquet has no image column"),
    ("train --data file --out new --steps 2", 1, "file is no image file, Parquet file or uncompressed tar"),
    ("train --data digits:half --out new --steps 2", 2, "digits has no split 'half': there are train, test"),
    ("train --data digits[:0%] --out new --steps 2", 2, "digits:train[:0%] holds no image"),
    (f"{NEW} --learner simlcr", 2, "--learner 'simlcr' is not known (did you mean 'simclr'?)"),
    (f"{NEW} --backbone resnet19", 2, "(did you mean 'resnet18'?)"),
    (f"{NEW} --learning-rate 0", 2, "--learning-rate must be above 0, not 0.0"),
    (f"{NEW} --learning-rate fast", 2, "'fast' is not a valid float"),
    (f"{NEW} --online", 2, "--online needs --generator DIR"),
    ("train --data digits --steps 2 --out s3://bucket/run", 2, "which an object store cannot do; give a folder"),
    ("pretrain --data digits --steps 1 --out s3://bucket/run", 2, "which an object store cannot do; give a folder"),
    (f"{NEW} --generator gan", 2, "--generator is for --online and --fresh; to use ready samples give --shards DIR"),
    (f"{NEW} --online --generator nowhere", 1, "no generator at 'nowhere': the path does not exist"),
    (
        f"{NEW} --online --generator run",
        1,
        "is a run of `synthcl train` and has no generator; give a run of `synthcl pretrain`",
    ),
    (f"{NEW} --fresh --online --generator gan", 2, "--online cannot be given with --fresh"),
    (
        f"{NEW} --image-size 16 --online --generator gan",
        2,
        "--generator gan makes images of 8 pixels, and the training is at 16; give --image-size 8",
    ),
    (f"{NEW} --image-size 8 --shards nowhere", 1, "there is no folder nowhere"),
    (f"{NEW} --image-size 8 --shards run", 1, "run is a run of `synthcl train`, no shard set"),
    (
        f"{NEW} --image-size 8 --shards partial",
        1,
        "partial is not complete: run the command that writes it (30 samples) again",
    ),
    (f"{NEW} --image-size 8 --shards lost", 1, "lost/000000.tar is missing, though the set's manifest lists it"),
    (f"{NEW} --image-size 16 --shards set", 2, "--shards set holds images of 8 pixels, and training is at 16"),
    (
        f"{NEW} --image-size 8 --batch-size 16 --shards set --where 'hardness >'",
        2,
        "--where 'hardness >' cannot be used",
    ),
    (
        f"{NEW} --image-size 8 --batch-size 16 --shards set --where 'sample_index > 100'",
        2,
        "--where 'sample_index > 100' selects none of the 30 samples of set",
    ),
    (f"{NEW} --where 'hardness > 2'", 2, "--where chooses samples of --shards; give it with a set"),
    (
        f"{NEW} --image-size 8 --batch-size 16 --replay set",
        2,
        "--replay set is no recording of a training; use it with --shards",
    ),
    (f"{NEW} --record new2", 2, "--record writes what a run draws at each step; give it with --online or --fresh"),
    (f"{NEW} --no-hard", 2, "means nothing in the regime real; it is for online"),
    (f"{NEW} --seed -1", 2, "--seed must be at least 0, not -1"),
    ("train --config nowhere.yaml", 2, "cannot read --config nowhere.yaml"),
    ("train --config list.yaml", 2, "--config list.yaml must hold names and values"),
    ("train --config bad.yaml", 2, "--config bad.yaml is not YAML"),
    ("train --config bytes.yaml", 2, "--config bytes.yaml is not YAML"),
    ("train --config DIGITS --out new", 2, "is neither a file nor a preset of train (did you mean 'digits'?)"),
    ("pretrain --config nothing --out new", 2, "its presets are cifar10, cifar10-16px, digits"),
    ("generate --config digits --generator gan --num-samples 3 --out new", 2, "cannot read --config digits"),
    (f"{NEW} --learning-rate inf", 2, "--learning-rate takes a number or none, not inf"),
    ("train --data digits --steps 2 --out ''", 2, "--out is empty; give a folder"),
    ("compare --config digits --out new", 2, "offline and online need --generator DIR"),
    (
        "train --config misspelt.yaml --out new",
        2,
        "there is no option 'stepz' in --config misspelt.yaml (did you mean 'steps'?)",
    ),
    ("train --config typed.yaml --data digits --out new", 2, "--steps takes a whole number or none, not 'many'"),
    ("pretrain --data digits", 2, "Missing option '--out'"),
    ("pretrain --data digits --out new --generator gam", 2, "'gam' is not one of 'gan', 'diffusion'"),
    ("pretrain --data digits --out new --preset huge", 2, "unknown GAN preset 'huge': choose from auto, plain, tiny"),
    ("pretrain --data digits --out new --steps 2 --image-size 9", 2, "from 8 to 128, not 9: try 8, 16, 28"),
    ("pretrain --data digits --out new --steps 2 --ema-decay 1", 2, "--ema-decay must be below 1, not 1.0"),
    ("pretrain --data digits --out new --steps 2 --eval-every 1", 2, "give --eval-encoder RUN"),
    ("pretrain --data digits --out new --steps 2 --eval-encoder nowhere", 1, "there is no run nowhere"),
    (
        "pretrain --data digits --out run --steps 2",
        2,
        "--out run holds a run of `synthcl train`; give another folder for `synthcl pretrain`",
    ),
    (
        "pretrain --data digits --image-size 8 --preset tiny --batch-size 8 --sample-every 2 --out gan --steps 2",
        2,
        "--out gan is finished, with 3 steps",
    ),
    ("preview --generator gan --out x.jpg", 2, "--out x.jpg must end in .png"),
    ("preview --generator nowhere --out x.png", 1, "no generator at 'nowhere': the path does not exist"),
    ("preview --generator begun --out x.png", 1, "begun is a run of `synthcl train` and has no generator"),
    (
        "preview --generator gan --out file/x.png",
        1,
        "cannot write the picture file/x.png: file is a file; give a path in a folder",
    ),
    ("preview --generator gan --out x.png --num-samples 0", 2, "--num-samples must be at least 1, not 0"),
    ("preview --generator gan --out x.png --data nowhere/", 2, "there is no data at 'nowhere/'"),
    ("generate --generator gan --num-samples 0 --out new", 2, "--num-samples must be at least 1, not 0"),
    ("generate --generator gan --num-samples 4 --out file", 1, "--out file is a file; give a folder"),
    ("generate --generator gan --num-samples 4 --out full", 1, "--out full is not empty and holds no shard set"),
    (
        "generate --generator gan --num-samples 40 --samples-per-shard 10 --out set",
        2,
        "--out set holds a shard set of another recipe",
    ),
    (
        "generate --generator gan --num-samples 4 --out new --job-index 2 --num-jobs 2",
        2,
        "--job-index 2 is none of --num-jobs 2; they are numbered from 0",
    ),
    ("generate --generator gan --num-samples 4 --out new --format gif", 2, "'gif' is not one of 'png', 'jpg', 'webp'"),
    (
        "generate --generator gan --num-samples 4 --out new --sampler ddim",
        2,
        "--sampler cannot be given here",
    ),
    ("generate --generator run --num-samples 4 --out new", 1, "run is a run of `synthcl train` and has no generator"),
    ("eval liner run --data digits", 2, "there is no command 'liner' (did you mean 'linear'?)"),
    ("eval linear nowhere --data digits", 1, "there is no run nowhere"),
    ("eval linear begun --data digits", 1, "the run begun has no encoder: it is not finished (run its command again)"),
    ("eval linear full --data digits", 1, "full is neither a run of `synthcl train` nor an encoder's folder"),
    ("eval linear run --data nowhere/", 2, "there is no data at 'nowhere/'"),
    ("eval linear run --data digits --label-fraction 0", 2, "--label-fraction must be above 0, not 0.0"),
    ("eval linear run --data digits --label-fraction 2", 2, "--label-fraction must be at most 1, not 2.0"),
    ("eval knn run --data digits --k 0", 2, "--k must be at least 1, not 0"),
    ("eval transfer run", 2, "Missing option '--data': give one image set or more, or a --suite"),
    ("eval transfer run --suite vtab", 2, "'vtab' is not one of 'natural', 'kornblith'"),
    ("eval transfer run --suite small --data digits", 2, "--suite small names its sets itself; leave --data and"),
    ("eval finetune run --data digits --preset moco", 2, "'moco' is not one of 'ours', 'simclr'"),
    (
        "eval transfer run --data digits --test-data digits:test --test-data digits:test",
        2,
        "--test-data is given 2 times and --data 1 times; give one for each",
    ),
    ("eval robustness run --data digits --corruptions rain", 2, "there is no corruption 'rain'; choose of gaussian-"),
    ("eval robustness run --data digits --severities 0", 2, "takes whole numbers from 1 to 5 with commas between"),
    ("eval robustness begun --data digits", 1, "the run begun has no encoder"),
    ("eval quality nowhere --data digits", 1, "nowhere is no shard set, no generator"),
    ("eval quality run --data digits", 1, "run is a run of `synthcl train` and has no generator"),
    ("eval quality set --data digits --encoder nowhere", 1, "there is no run nowhere"),
    (
        "eval quality set --data digits --overwrite",
        2,
        "--overwrite means nothing without --scores NAME; give both, or leave it out",
    ),
    ("eval alignment run --data digits --views nothing", 2, "'nothing' is not one of 'simclr'"),
    ("embed run --data digits --out x.csv", 2, "--out x.csv must end in .parquet"),
    ("embed run --out x.parquet", 2, "Missing option '--data': give one image set or more"),
    (
        "embed run --data digits --out x.parquet --method pca",
        2,
        "--method means nothing without --picture FILE.png; give both, or leave it out",
    ),
    ("embed run --data digits --out x.parquet --picture x.svg", 2, "--picture x.svg must end in .png"),
    ("embed begun --data digits --out x.parquet", 1, "the run begun has no encoder"),
    ("export nowhere --out new", 1, "there is no run nowhere"),
    ("export begun --out new", 1, "the run begun has no encoder"),
    ("export run --out new.onnx", 2, "--out new.onnx must be a folder, or a file that ends in .safetensors or .pth"),
    ("export run --out full", 1, "--out full holds other things than an exported encoder"),
    ("export run --to timm --out new", 2, "has no counterpart in timm"),
    ("compare --data digits --out new --steps 2", 2, "--generator DIR; `synthcl pretrain` makes one"),
    ("compare --data digits --out new --regimes real,onlin --steps 2", 2, "there is no regime 'onlin'"),
    (
        "compare --data digits --out new --regimes real --steps 2",
        2,
        "--regimes leaves nothing to compare: real; name two arms or more",
    ),
    ("compare --run run --out new", 2, "give runs of two"),
    ("compare --run run --run nowhere --out new", 1, "nowhere is no run of synthcl"),
    ("compare --run run --run begun --out new", 1, "--run begun is not finished; run its command again first"),
    (
        "compare --run run --run gan --out new",
        1,
        "--run gan is a run of `synthcl pretrain`; give runs of `synthcl train`",
    ),
    ("shards lst", 2, "there is no command 'lst' (did you mean 'list'?)"),
    ("shards list nowhere", 1, "there is no folder nowhere"),
    ("shards info nowhere", 1, "there is no folder nowhere"),
    ("shards info run", 1, "run is a run of `synthcl train`, no shard set"),
    ("shards verify nowhere", 1, "there is no folder nowhere"),
    ("shards preview set --out x.jpg", 2, "--out x.jpg must end in .png"),
    ("shards preview set --out x.png --sort beauty", 2, "--sort 'beauty' is no column of set; it has key, shard"),
    (
        "shards preview set --out x.png --where 'beauty > 1'",
        2,
        "--where 'beauty > 1' cannot be used: there is no column 'beauty'",
    ),
    ("shards preview set --out x.png --data nowhere/", 2, "there is no data at 'nowhere/'"),
    ("shards preview partial --out x.png", 1, "partial is not complete"),
    ("shards index nowhere", 1, "nowhere has no tars to index; give a folder with *.tar files"),
    ("shards index run", 1, "run has no tars to index"),
    ("shards index empty", 1, "empty has no tars to index"),
    ("generate --generator gan --num-samples 4 --out hf://datasets/me/set", 2, "is put there by `synthcl shards push`"),
    ("shards verify hf://datasets/me/set", 2, "verify and score it in a folder"),
    ("shards push set --to mine", 2, "'mine' is no repository of the hub: give USER/NAME"),
    ("shards push set --to me/set", 1, "cannot push to me/set: there is no token of the Hugging Face hub here"),
    ("shards push nowhere --to me/set", 1, "there is no token"),
    ("pretrain --data digits --steps 1 --out x --private", 2, "--private"),
    (
        "preview --generator hf://gan --out x.png",
        2,
        "'hf://gan' is no location on the hub: write hf://datasets/USER/NAME",
    ),
    ("eval alignment run --data hf://datasets/me", 2, "is no location on the hub"),
    ("shards score set --encoder nowhere", 1, "there is no run nowhere"),
    ("shards score set --encoder begun", 1, "the run begun has no encoder"),
    ("runs list nowhere", 1, "there is no folder nowhere"),
    ("runs show nowhere", 1, "there is no folder nowhere"),
    ("runs show full", 1, "full is no run of synthcl: it has no run.json; `synthcl runs list full` looks below it"),
    ("runs show run --out x.svg", 2, "--out x.svg must end in .png"),
    ("runs show run --watch --json", 2, "--watch shows a run to people; leave --json out"),
    ("runs show damaged", 1, "damaged/result.json is damaged"),
    ("env --verbose", 2, "No such option '--verbose'"),
    ("demo --seeds 0 --out new", 2, "--seeds must be at least 1, not 0"),
    ("demo --out full --image-size 3", 2, "--image-size must be at least 8, not 3"),
]


def content(folder: Path) -> dict[str, bytes | None]:
    """All that lies in a folder, by path."""
    found = {}
    for path, folders, files in os.walk(folder, followlinks=True):
        found |= {os.path.join(path, name): None for name in folders}
        found |= {os.path.join(path, name): Path(path, name).read_bytes() for name in files}
    return found


@pytest.mark.parametrize(("line", "code", "words"), WRONG, ids=[line for line, *_ in WRONG])
def test_it_gets_a_sentence_and_leaves_all_as_it_was(synthcl, place, monkeypatch, line, code, words):
    monkeypatch.chdir(place)
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(place / "none"))
    before = content(place)
    result = synthcl(*shlex.split(line), code=code)
    message = " ".join(result.stderr.partition("Error: ")[2].split())
    assert words in message
    assert "unexpected" not in message
    assert content(place) == before


def test_the_table_covers_every_command():
    from synthcl.cli import COMMANDS

    assert len(WRONG) >= 80 and len({line for line, *_ in WRONG}) == len(WRONG)
    assert {line.split()[0] for line, *_ in WRONG} >= set(COMMANDS)

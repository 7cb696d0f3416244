"""Runs taken up again from the command line: what is damaged, what diverges, what differs."""

import io
import json
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from safetensors import SafetensorError

from synthcl.generators.gan.trainer import GANTrainer
from synthcl.learners.simclr import SimCLR
from synthcl.pipeline import encoder
from synthcl.pipeline.regimes import joint_trainer
from synthcl.pipeline.runs import checkpoint
from synthcl.pipeline.runs.checkpoint_files import list_checkpoints
from synthcl.pipeline.runs.folder import RunFolder
from synthcl.pipeline.runs.lock import FolderLock

TRAIN = ["train", "--data", "digits", "--image-size", 8, "--batch-size", 16, "--backbone", "resnet10-w8"]
PRETRAIN = ["pretrain", "--data", "digits", "--image-size", 8, "--batch-size", 16, "--preset", "tiny"]
OPTIONS = ["--log-every", 1, "--checkpoint-every", 2]


def write_images(path, count):
    """A Parquet file of plain images."""
    images = []
    for i in range(count):
        buffer = io.BytesIO()
        Image.fromarray(np.full((8, 8, 3), i, np.uint8)).save(buffer, "PNG")
        images.append({"bytes": buffer.getvalue(), "path": f"{i}.png"})
    pq.write_table(pa.table({"img": images}), path)


def damage(checkpoint, part):
    data = (checkpoint / f"{part}.safetensors").read_bytes()
    (checkpoint / f"{part}.safetensors").write_bytes(data[:-1])


@pytest.mark.parametrize("command", [TRAIN, PRETRAIN])
def test_a_folder_is_locked_from_the_first_change_to_the_result(synthcl, tmp_path, monkeypatch, command):
    """What a second start leaves alone is what the first one, which extends a finished run, has there."""
    out = tmp_path / "run"
    synthcl(*command, "--out", out, "--steps", 2)
    (out / ".tmp-x").touch()

    def content():
        return {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}

    def refused():
        before = content()
        message = synthcl(*command, "--out", out, "--steps", 4, code=1).stderr
        assert f"another process is training in {out}; wait for it" in " ".join(message.split())
        assert content() == before

    with FolderLock(out):
        refused()
    finish = RunFolder.finish
    monkeypatch.setattr(RunFolder, "finish", lambda self, result: (refused(), finish(self, result)))
    synthcl(*command, "--out", out, "--steps", 4)
    assert json.loads((out / "result.json").read_bytes())["steps"] == 4 and not (out / ".tmp-x").exists()


@pytest.mark.parametrize(("command", "part"), [(TRAIN, "learner"), (PRETRAIN, "trainer")])
def test_a_damaged_checkpoint_is_passed_over_and_none_left_is_an_error(synthcl, tmp_path, caplog, command, part):
    def go_on(folder, steps, code=0):
        return synthcl(*command, *OPTIONS, "--out", tmp_path / folder, "--steps", steps, code=code)

    go_on("whole", 6)
    go_on("run", 6)
    newest, before = reversed(list_checkpoints(tmp_path / "run" / "checkpoints"))
    (tmp_path / "run" / "result.json").unlink()
    damage(newest, part)
    go_on("run", 6)
    assert f"checkpoint {newest} is damaged" in caplog.text
    for name in ("metrics.jsonl", f"checkpoints/{newest.name}/{part}.safetensors"):
        assert (tmp_path / "run" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    (tmp_path / "run" / "result.json").unlink()
    damage(newest, part)
    damage(before, part)
    result = go_on("run", 6, code=1)
    assert "none of the checkpoints in" in result.stderr and "remove the folder" in result.stderr


def test_a_full_disk_is_told_with_what_goes_on(synthcl, tmp_path, monkeypatch):
    """At a checkpoint, and at the end, where the encoder is saved."""
    command = [*TRAIN, *OPTIONS, "--steps", 4, "--out", tmp_path / "run"]
    full = "Error while serializing: I/O error: No space left on device (os error 28)"

    def refused(*arguments, **options):
        raise SafetensorError(full)

    def fails():
        said = " ".join(synthcl(*command, code=1).stderr.split())
        assert f"cannot save the run in {tmp_path / 'run'}: {full}" in said and "run the same command again" in said

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "save_file", refused)
        fails()
    assert not list_checkpoints(tmp_path / "run" / "checkpoints")
    with monkeypatch.context() as patch:
        patch.setattr(encoder, "save_file", refused)
        fails()
    assert synthcl(*command, "--json").json["steps"] == 4


@pytest.mark.parametrize("fault", ["gone", "short", "config"])
def test_an_encoder_that_is_lost_comes_back_from_the_last_checkpoint(synthcl, tmp_path, fault):
    run = tmp_path / "run"
    command = [*TRAIN, *OPTIONS, "--steps", 2, "--out", run]
    synthcl(*command)
    name = "config.json" if fault == "config" else "model.safetensors"
    before = (run / "encoder" / name).read_bytes()
    if fault == "gone":
        (run / "encoder" / name).unlink()
    else:
        (run / "encoder" / name).write_bytes(before[:-9])
    said = " ".join(synthcl("eval", "knn", run, "--data", "digits", code=1).stderr.split())
    assert f"remove {run / 'result.json'} and run the run's command again" in said and "not finished" not in said
    (run / "result.json").unlink()
    shutil.copytree(run / "checkpoints", tmp_path / "before")
    synthcl(*command)
    assert (run / "encoder" / name).read_bytes() == before
    for file in (tmp_path / "before").rglob("*.safetensors"):
        assert (run / "checkpoints" / file.relative_to(tmp_path / "before")).read_bytes() == file.read_bytes()


def broken_loss(original, when):
    def forward(self, views, groups, num_real):
        output = original(self, views, groups, num_real)
        when["step"] += 1
        return output._replace(loss=output.loss * float("nan")) if when["step"] > 5 else output

    return forward


def broken_metric(name):
    def broken(original, when):
        def step(self, *arguments, **options):
            metrics = original(self, *arguments, **options)
            when["step"] += 1
            return {**metrics, name: metrics[name] * float("nan")} if when["step"] > 5 else metrics

        return step

    return broken


DIVERGING = {
    "the learner's": (TRAIN, SimCLR, "forward", "loss", broken_loss),
    "the generator's": (PRETRAIN, GANTrainer, "step", "loss_generator", broken_metric("loss_generator")),
    "the discriminator's, jointly": (
        [*TRAIN, "--online", "--generator"],
        GANTrainer,
        "step",
        "loss_discriminator",
        broken_metric("loss_discriminator"),
    ),
}


@pytest.mark.parametrize(("command", "owner", "method", "loss", "broken"), DIVERGING.values(), ids=DIVERGING.keys())
def test_a_loss_that_is_no_number_stops_within_a_step(
    synthcl, generator, tmp_path, monkeypatch, command, owner, method, loss, broken
):
    monkeypatch.setattr(owner, method, broken(getattr(owner, method), when := {"step": 0}))
    source = [generator] if "--generator" in command else []
    result = synthcl(*command, *source, *OPTIONS, "--out", tmp_path / "run", "--steps", 20, code=1)
    assert when["step"] <= 7
    last = tmp_path / "run" / "checkpoints" / "step-00000004"
    message = " ".join(result.stderr.split())
    assert f"{loss} is nan at step 6; the run stops. The last good checkpoint is {last}" in message
    assert list_checkpoints(tmp_path / "run" / "checkpoints")[-1] == last
    rows = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [1, 2, 3, 4, 5]


def other_generator(synthcl, folder):
    path = folder / "other"
    synthcl(*PRETRAIN, "--steps", 1, "--seed", 5, "--out", path)
    return path


def write_photos(folder):
    """Four images of two classes."""
    for i in range(4):
        path = folder / "train" / f"class{i % 2}" / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((8, 8, 3), i, np.uint8)).save(path)


@pytest.mark.parametrize("command", [TRAIN, PRETRAIN])
def test_an_image_that_cannot_be_read_does_not_keep_the_folder(synthcl, tmp_path, command):
    """It ends the run before a step is saved: without it the same command begins again."""
    write_photos(tmp_path / "photos")
    empty = tmp_path / "photos" / "train" / "class0" / "empty.png"
    empty.touch()
    given = [tmp_path / "photos" if word == "digits" else word for word in command]
    given += ["--batch-size", 4, "--steps", 2, "--out", tmp_path / "run"]
    assert "empty.png" in synthcl(*given, code=1).stderr
    empty.unlink()
    synthcl(*given)
    assert (tmp_path / "run" / "result.json").exists()


SOURCES = {
    "images": [],
    "a set": ["--shards", "set"],
    "a generator that stays": ["--fresh", "--generator", "generator"],
    "a generator that learns": ["--online", "--generator", "generator"],
}


@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES)
def test_a_run_is_not_continued_on_other_contents(synthcl, generator, tmp_path, monkeypatch, source):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(generator, "generator")
    write_images(tmp_path / "data.parquet", 40)
    samples = ["generate", "--generator", "generator", "--out", "set", "--workers", 1]
    synthcl(*samples, "--num-samples", 16)
    train = ["train", "--data", "data.parquet", *TRAIN[3:], *OPTIONS, *source, "--out", "run", "--steps", 4]
    synthcl(*train)
    whole = {path: path.read_bytes() for path in (tmp_path / "run").rglob("*.safetensors")}
    (tmp_path / "run" / "result.json").unlink()
    shutil.rmtree(tmp_path / "run" / "checkpoints" / "step-00000004")
    if not source:
        write_images(tmp_path / "data.parquet", 41)
    elif source[0] == "--shards":
        synthcl(*samples, "--num-samples", 20)
    else:
        shutil.rmtree("generator")
        other_generator(synthcl, tmp_path).rename("generator")
    said = " ".join(synthcl(*train, code=1).stderr.split())
    option = "--generator" if "generator" in source else source[0] if source else "--data"
    assert f"was begun with other contents, and going on would make a run of both: {option} had" in said
    if not source:  # with what it began with it ends as it would have
        write_images(tmp_path / "data.parquet", 40)
        synthcl(*train)
        assert all(path.read_bytes() == content for path, content in whole.items())


def test_a_finished_run_needs_nothing_that_it_was_made_from(synthcl, generator, tmp_path):
    copy, data = tmp_path / "generator", tmp_path / "train.parquet"
    shutil.copytree(generator, copy)
    write_images(data, 40)
    options = ["--data", data, *TRAIN[3:], "--steps", 2, "--out", tmp_path / "run", "--json"]
    online = ["train", *options, "--online", "--generator", copy]
    first = synthcl(*online)
    shutil.rmtree(copy)
    data.unlink()
    again = synthcl(*online)
    assert again.json == first.json
    assert "already finished" in again.stderr and "already finished" not in first.stderr
    assert "--seed: 0 there, 1 now" in synthcl(*online, "--seed", 1, code=2).stderr


def test_a_finished_run_is_never_called_another_length(synthcl, tmp_path):
    """What the record, the model card and `runs show` say of a run is what its weights are."""

    def train(name, steps, *options, code=0):
        run = ["train", "--data", "digits", *TRAIN[3:], "--steps", steps, "--out", tmp_path / name, *options, "--json"]
        return synthcl(*run, code=code)

    first = train("real", 4).json
    written = {path: path.read_bytes() for path in (tmp_path / "real").glob("*.*")}
    refused = train("real", 2, code=2).stderr
    assert "is finished, with 4 steps; its weights are not those of a training of 2" in " ".join(refused.split())
    assert {path: path.read_bytes() for path in (tmp_path / "real").glob("*.*")} == written
    assert train("real", 4).json == first and "extended_from" not in first

    extended = train("real", 6)
    assert extended.json["extended_from"] == [4] and extended.json["steps"] == 6
    (change,) = extended.json["length_changes"]
    assert (change["at"], change["from"], change["to"]) == (4, 4, 6)
    assert change["learning_rate"][1] > change["learning_rate"][0] > 0
    assert "goes back up" in extended.stderr
    assert "extended from 4 to 6 steps: not a training in one go" in synthcl("runs", "show", tmp_path / "real").stdout
    synthcl("export", tmp_path / "real", "--out", tmp_path / "export")
    card = (tmp_path / "export" / "README.md").read_text()
    assert "| length | extended from 4 to 6 steps |" in card and "--steps 4" in card and "--steps 6" in card

    written = {path: path.read_bytes() for path in (tmp_path / "real").glob("*.*")}
    shutil.rmtree(tmp_path / "real" / "checkpoints")
    refused = " ".join(train("real", 8, code=1).stderr.split())
    assert "real is finished, and its checkpoints are gone or damaged, so that it cannot be extended to 8" in refused
    assert {path: path.read_bytes() for path in (tmp_path / "real").glob("*.*")} == written


def test_a_run_goes_on_with_the_preset_that_auto_came_to(synthcl, tmp_path):
    command, run = [*PRETRAIN[:-2], *OPTIONS, "--steps", 4], tmp_path / "run"

    def go_on(*options, code=0):
        (run / "result.json").unlink(missing_ok=True)
        return synthcl(*command, *options, "--out", run, "--json", code=code)

    assert go_on().json["preset"] == "plain"
    assert json.loads((run / "run.json").read_text())["came_to"]["preset"] == "plain"
    assert go_on("--preset", "plain").json["preset"] == "plain"
    assert "--preset: 'plain' there, 'tiny' now" in " ".join(go_on("--preset", "tiny", code=2).stderr.split())


def test_a_joint_run_of_before_goes_on_with_the_discriminator_as_it_was(synthcl, generator, tmp_path, monkeypatch):
    run = tmp_path / "run"
    command = [*TRAIN, "--online", "--generator", generator, "--steps", 4, "--out", run]
    synthcl(*command, "--discriminator-augment", "pretrained")
    lines = (run / "config.yaml").read_text().splitlines()
    (run / "config.yaml").write_text("\n".join(x for x in lines if not x.startswith("discriminator_augment")) + "\n")
    record = json.loads((run / "run.json").read_text())
    del record["came_to"]["discriminator_augment"]
    (run / "run.json").write_text(json.dumps(record))
    synthcl(*command)  # it is finished, and stays as it is
    (run / "result.json").unlink()
    monkeypatch.setattr(joint_trainer, "MANY_PASSES", 0)
    refused = " ".join(synthcl(*command, code=2).stderr.split())
    assert "--discriminator-augment: 'pretrained' there, 'colour,translation,cutout' now" in refused
    synthcl(*command, "--discriminator-augment", "pretrained")
    (run / "result.json").unlink()
    monkeypatch.undo()
    synthcl(*command)  # in a short training `auto` is as it was


def test_a_longer_joint_run_is_not_given_another_discriminator_unseen(synthcl, generator, tmp_path, monkeypatch):
    """`--discriminator-augment auto` goes by the length: what the run began with is to be asked for."""
    run = tmp_path / "run"
    command = [*TRAIN, "--online", "--generator", generator, *OPTIONS, "--out", run]
    synthcl(*command, "--steps", 2)
    monkeypatch.setattr(joint_trainer, "MANY_PASSES", 0)
    refused = " ".join(synthcl(*command, "--steps", 4, code=2).stderr.split())
    assert "--discriminator-augment: 'pretrained' there, 'colour,translation,cutout' now" in refused
    synthcl(*command, "--steps", 4, "--discriminator-augment", "pretrained")


def test_a_run_from_when_auto_was_another_preset_goes_on_with_that_one(synthcl, tmp_path):
    command, run = [*PRETRAIN[:-2], *OPTIONS, "--steps", 4, "--out", tmp_path / "run"], tmp_path / "run"
    synthcl(*command, "--preset", "tiny")
    config = (run / "config.yaml").read_text()
    (run / "config.yaml").write_text(config.replace("preset: tiny", "preset: auto"))
    record = json.loads((run / "run.json").read_text())
    del record["came_to"]["preset"]
    (run / "run.json").write_text(json.dumps(record))
    (run / "result.json").unlink()
    assert "--preset: 'tiny' there, 'plain' now" in " ".join(synthcl(*command, code=2).stderr.split())
    assert synthcl(*command, "--preset", "tiny", "--json").json["preset"] == "tiny"

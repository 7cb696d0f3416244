"""Recording and replaying from the command line: the learner takes the very same steps."""

from contextlib import contextmanager

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from synthcl.pipeline.generation.opening import open_generator
from synthcl.pipeline.randomness import Key
from synthcl.pipeline.regimes.fresh import samples_key
from synthcl.pipeline.shards import open_shard_set
from synthcl.pipeline.training.step import TrainingStep

OPTIONS = [
    "--data", "digits", "--image-size", "8", "--batch-size", "16", "--backbone", "resnet10-w8", "--precision", "fp32",
    "--log-every", "1", "--checkpoint-every", "3",
]  # fmt: skip


def drawn(synthcl, regime, generator, out, record, *options, steps=7, code=0):
    arguments = [f"--{regime}", "--generator", generator, "--record", record, "--steps", steps, "--out", out]
    return synthcl("train", *OPTIONS, *arguments, *options, code=code)


def online(synthcl, *arguments, **given):
    return drawn(synthcl, "online", *arguments, **given)


@pytest.fixture
def crashing_at(monkeypatch):
    """`with crashing_at(step):` the power fails before that step of a training."""
    original = TrainingStep.__call__

    @contextmanager
    def crashing(crash):
        def step_or_crash(self, step):
            if step == crash:
                raise OSError("power cut")
            return original(self, step)

        with monkeypatch.context() as patch:
            patch.setattr(TrainingStep, "__call__", step_or_crash)
            yield

    return crashing


def files(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


MOCO = ["--learner", "moco", "--queue-size", "32"]
RECORDED = [
    ("online", [], [], 2),
    ("online", ["--no-pairs"], [], 1),
    ("online", [], MOCO, 2),
    ("fresh", ["--no-pairs"], [], 1),
    ("fresh", ["--images-per-sample", 4], [], 4),
    ("fresh", ["--images-per-sample", 4], MOCO, 4),
]
"""A regime, how it draws, how the learner learns, and images a sample."""


@pytest.mark.parametrize(("regime", "drawing", "learning", "images"), RECORDED)
def test_a_replay_ends_with_the_weights_of_the_recorded_run(
    synthcl, generator, tmp_path, regime, drawing, learning, images
):
    drawn(synthcl, regime, generator, tmp_path / "run", tmp_path / "rec", *drawing, *learning)
    synthcl("train", *OPTIONS, *learning, "--steps", 7, "--replay", tmp_path / "rec", "--out", tmp_path / "replay")
    weights = [(tmp_path / run / "encoder" / "model.safetensors").read_bytes() for run in ("run", "replay")]
    assert weights[0] == weights[1]
    shards = open_shard_set(tmp_path / "rec")
    assert shards.views_per_sample == images
    pixels = shards.read_views(range(8)).flatten(2)
    assert all((pixels[:, 0] != pixels[:, number]).any() for number in range(1, images))
    rows = pq.read_table(tmp_path / "rec" / ".synthcl" / "000000.parquet").to_pydict()
    assert rows["step"] == [i // 8 for i in range(7 * 8)]
    assert all(value is not None for value in rows["hardness"])
    assert (rows["pair_similarity"][0] is None) == (images == 1)


@pytest.mark.parametrize(("regime", "drawing"), [("online", []), ("fresh", ["--images-per-sample", 4])])
def test_an_interrupted_recording_is_the_uninterrupted_one(synthcl, generator, tmp_path, crashing_at, regime, drawing):
    def run(out, rec, code=0):
        drawn(synthcl, regime, generator, out, rec, *drawing, code=code)

    run(tmp_path / "whole", tmp_path / "whole-rec")
    made = ["encoder/model.safetensors", "metrics.jsonl"]
    made += ["generator/diffusion_pytorch_model.safetensors"] if regime == "online" else []
    for crash in (2, 4, 5):
        out, rec = tmp_path / f"run{crash}", tmp_path / f"rec{crash}"
        with crashing_at(crash):
            run(out, rec, code=1)
        run(out, rec)
        assert files(rec) == files(tmp_path / "whole-rec")
        for name in made:
            assert (out / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name


def test_a_recording_serves_as_an_offline_set_filtered_by_its_columns(synthcl, generator, tmp_path):
    online(synthcl, generator, tmp_path / "online", tmp_path / "rec")
    options = ["--shards", tmp_path / "rec", "--where", "step >= 2", "--steps", 3]
    synthcl("train", *OPTIONS, *options, "--out", tmp_path / "offline")


@pytest.fixture(scope="module")
def conditional(build_pipeline, tmp_path_factory):
    """The folder of a pipeline that draws for classes."""
    folder = tmp_path_factory.mktemp("pipelines") / "dit"
    build_pipeline("DiTPipeline", num_embeds_ada_norm=10).save_pretrained(folder)
    return folder


DRAWING = ["--image-size", 16, "--sampling-steps", 2, "--classes", "2-4", "--guidance-scale", 2]


@pytest.fixture(scope="module")
def of_classes(synthcl, conditional, tmp_path_factory):
    """A folder with an online run of that pipeline, `run`, and its recording, `rec`."""
    folder = tmp_path_factory.mktemp("classes")
    online(synthcl, conditional, folder / "run", folder / "rec", *DRAWING)
    return folder


def test_a_recording_keeps_the_classes_that_were_drawn(synthcl, conditional, of_classes, tmp_path, crashing_at):
    shards = open_shard_set(of_classes / "rec")
    classes = shards.column("class")
    assert set(classes) == {2, 3, 4} and set(shards.column("guidance")) == {2.0}
    # Each step draws for its own, and a sample's is that of its latent.
    generator = open_generator(str(conditional), classes=[2, 3, 4])
    draws = samples_key(Key.from_seed(0)).child(5).at(torch.arange(8))
    assert classes[40:48].tolist() == generator.describe(generator.sample_latents(8, draws=draws))["class"]
    with crashing_at(4):
        online(synthcl, conditional, tmp_path / "cut", tmp_path / "cut-rec", *DRAWING, code=1)
    online(synthcl, conditional, tmp_path / "cut", tmp_path / "cut-rec", *DRAWING)
    assert files(tmp_path / "cut-rec") == files(of_classes / "rec")


def test_classes_of_a_recording_choose_samples_are_labels_and_are_measured(synthcl, of_classes, tmp_path):
    classes = open_shard_set(of_classes / "rec").column("class")
    assert len(open_shard_set(of_classes / "rec", where="class = 3")) == (classes == 3).sum()
    train = ["train", *OPTIONS, "--image-size", 16, "--learner", "supcon", "--steps", 2]
    train += ["--shards", of_classes / "rec", "--where", "class < 4"]
    for name, options in (("labelled", ["--synthetic-classes"]), ("unlabelled", [])):
        synthcl(*train, *options, "--out", tmp_path / name)
    weights = [(tmp_path / run / "encoder" / "model.safetensors").read_bytes() for run in ("labelled", "unlabelled")]
    assert weights[0] != weights[1]
    quality = ["eval", "quality", of_classes / "rec", "--data", "digits", "--encoder", of_classes / "run", "--k", 2]
    measured = synthcl(*quality, "--per-class", "--json").json["by_class"]
    assert [row["num_generated"] for row in measured] == np.bincount(classes, minlength=10).tolist()


@pytest.mark.parametrize("regime", ["online", "fresh"])
def test_classes_of_drawn_samples_are_labels_which_a_replay_has_too(synthcl, conditional, tmp_path, regime):
    learning = ["--learner", "supcon", *DRAWING[:2]]
    labelled = [*learning, "--synthetic-classes"]
    drawn(synthcl, regime, conditional, tmp_path / "run", tmp_path / "rec", *DRAWING, *labelled, steps=3)
    for name, options in (("labelled", labelled), ("unlabelled", learning)):
        synthcl("train", *OPTIONS, *options, "--steps", 3, "--replay", tmp_path / "rec", "--out", tmp_path / name)
    runs = ("run", "labelled", "unlabelled")
    weights = [(tmp_path / run / "encoder" / "model.safetensors").read_bytes() for run in runs]
    assert weights[0] == weights[1] != weights[2]


WRONG = {
    "another batch size": (["--batch-size", 32, "--replay", "REC"], "8 samples a step, not 16"),
    "more steps": (["--steps", 9, "--replay", "REC"], "holds 7 steps, fewer than the 9"),
    "no recording": (["--replay", "SHARDS"], "no recording of a training"),
    "replay and shards": (["--replay", "REC", "--shards", "REC"], "cannot be given with --shards"),
    "record without drawing": (["--record", "REC"], "give it with --online or --fresh"),
    "where without shards": (["--where", "step > 1"], "give it with a set"),
    "a condition on no column": (["--shards", "REC", "--where", "colour > 1"], "colour"),
}


@pytest.fixture(scope="module")
def sets(synthcl, generator, tmp_path_factory):
    folder = tmp_path_factory.mktemp("sets")
    online(synthcl, generator, folder / "online", folder / "rec")
    synthcl("generate", "--generator", generator, "--num-samples", 60, "--out", folder / "shards", "--workers", 0)
    return {"REC": folder / "rec", "SHARDS": folder / "shards"}


@pytest.mark.parametrize(("options", "message"), WRONG.values(), ids=WRONG.keys())
def test_wrong_uses_are_refused(synthcl, sets, tmp_path, options, message):
    options = [sets.get(option, option) for option in options]
    steps = [] if "--steps" in options else ["--steps", 7]
    result = synthcl("train", *OPTIONS, *steps, *options, "--out", tmp_path / "run", code=2)
    assert message in " ".join(result.stderr.split())
    assert not (tmp_path / "run").exists()

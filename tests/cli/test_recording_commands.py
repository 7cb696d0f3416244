"""Recording and replaying from the command line: the learner takes the very same steps."""

import pyarrow.parquet as pq
import pytest

from synthcl.pipeline.training.step import TrainingStep

OPTIONS = [
    "--data", "digits", "--image-size", "8", "--batch-size", "16", "--backbone", "resnet10-w8", "--precision", "fp32",
    "--log-every", "1", "--checkpoint-every", "3",
]  # fmt: skip


def online(synthcl, generator, out, record, *options, steps=7, code=0):
    arguments = ["--online", "--generator", generator, "--record", record, "--steps", steps, "--out", out]
    return synthcl("train", *OPTIONS, *arguments, *options, code=code)


def tars(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.tar"))}


@pytest.mark.parametrize("options", [[], ["--no-pairs"], ["--learner", "moco", "--queue-size", "32"]])
def test_a_replay_ends_with_the_weights_of_the_recorded_run(synthcl, generator, tmp_path, options):
    online(synthcl, generator, tmp_path / "online", tmp_path / "rec", *options)
    extra = [option for option in options if option != "--no-pairs"]
    synthcl("train", *OPTIONS, *extra, "--steps", 7, "--replay", tmp_path / "rec", "--out", tmp_path / "replay")
    weights = [(tmp_path / run / "encoder" / "model.safetensors").read_bytes() for run in ("online", "replay")]
    assert weights[0] == weights[1]
    rows = pq.read_table(tmp_path / "rec" / ".synthcl" / "000000.parquet").to_pydict()
    assert rows["step"] == [i // 8 for i in range(7 * 8)]
    assert all(value is not None for value in rows["hardness"])
    assert (rows["pair_similarity"][0] is None) == ("--no-pairs" in options)


def test_an_interrupted_recording_is_the_uninterrupted_one(synthcl, generator, tmp_path, monkeypatch):
    online(synthcl, generator, tmp_path / "whole", tmp_path / "whole-rec")
    original = TrainingStep.__call__
    for crash in (2, 4, 5):
        out, rec = tmp_path / f"run{crash}", tmp_path / f"rec{crash}"

        def crashing(self, step, crash=crash):
            if step == crash:
                raise OSError("power cut")
            return original(self, step)

        monkeypatch.setattr(TrainingStep, "__call__", crashing)
        online(synthcl, generator, out, rec, code=1)
        monkeypatch.setattr(TrainingStep, "__call__", original)
        online(synthcl, generator, out, rec)
        assert tars(rec) == tars(tmp_path / "whole-rec")
        for name in ("encoder/model.safetensors", "generator/diffusion_pytorch_model.safetensors", "metrics.jsonl"):
            assert (out / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name


def test_a_recording_serves_as_an_offline_set_filtered_by_its_columns(synthcl, generator, tmp_path):
    online(synthcl, generator, tmp_path / "online", tmp_path / "rec")
    options = ["--shards", tmp_path / "rec", "--where", "step >= 2", "--steps", 3]
    synthcl("train", *OPTIONS, *options, "--out", tmp_path / "offline")


WRONG = {
    "another batch size": (["--batch-size", 32, "--replay", "REC"], "8 samples a step, not 16"),
    "more steps": (["--steps", 9, "--replay", "REC"], "holds 7 steps, fewer than the 9"),
    "no recording": (["--replay", "SHARDS"], "no recording of an online run"),
    "replay and shards": (["--replay", "REC", "--shards", "REC"], "cannot be given with --shards"),
    "record without online": (["--record", "REC"], "give it with --online"),
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

"""Sets in an object store, from `generate` to training, by the commands that users call."""

import json

import pytest
import torch
from click.testing import CliRunner

from synthcl.cli import main
from synthcl.learners import create_backbone
from synthcl.pipeline.encoder import Encoder

URL = "s3://bucket/sets/digits"


@pytest.fixture
def generate(synthcl, generator, store):
    """Call `synthcl generate` for 40 samples in two shards."""

    def call(out=URL, *options, code=0):
        given = ["--generator", generator, "--num-samples", 40, "--samples-per-shard", 20, "--workers", 0]
        return synthcl("generate", *given, "--out", out, *options, "--json", code=code)

    return call


@pytest.fixture
def run(tmp_path):
    """A run with an encoder."""
    (tmp_path / "run").mkdir()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        Encoder(create_backbone("resnet10-w8", image_size=8), "resnet10-w8", 8).save(tmp_path / "run" / "encoder")
    (tmp_path / "run" / "run.json").write_text(json.dumps({"command": "train"}))
    (tmp_path / "run" / "config.yaml").write_text("data: digits\n")
    return tmp_path / "run"


def test_from_generate_to_training(synthcl, generate, train, run, store, tmp_path):
    assert not generate(URL, "--num-jobs", 2, "--job-index", 1).json["complete"]
    assert synthcl("shards", "info", URL, "--json").json["num_published"] == 20
    done = generate().json
    assert (done["out"], done["complete"], done["written"], done["existing"]) == (URL, True, 20, 20)
    assert generate().json["reused"]
    generate(tmp_path / "set")
    files = {str(p.relative_to(tmp_path / "set")): p.read_bytes() for p in (tmp_path / "set").rglob("*") if p.is_file()}
    assert store.objects("sets/digits/") == files

    (row,) = synthcl("shards", "list", "s3://bucket", "--json").json["sets"]
    assert (row["path"], row["name"], row["state"]) == (URL, "digits", "complete")
    assert synthcl("shards", "verify", URL, "--decode", "--json").json == {"ok": True, "num_samples": 40, "errors": []}
    synthcl("shards", "preview", URL, "--out", tmp_path / "samples.png")
    score = ["shards", "score", URL, "--encoder", run, "--clusters", 2]
    assert synthcl(*score, "--json").json["table"] == f"{URL}/.synthcl/tables/score.parquet"
    assert "is there already" in synthcl(*score, code=2).stderr
    quality = ["eval", "quality", URL, "--data", "digits[:60]", "--encoder", run, "--k", 2, "--scores", "quality"]
    assert synthcl(*quality, "--json").json["num_generated"] == 40
    train(tmp_path / "offline", "--shards", URL, "--where", "hardness > 0 AND density >= 0", steps=2)

    store.put("sets/digits/000001.tar", files["000001.tar"][:-512])
    damaged = CliRunner().invoke(main, ["shards", "verify", URL])
    assert damaged.exit_code == 1 and f"{URL}/000001.tar has" in damaged.output


def test_what_cannot_be_is_refused_in_a_sentence(synthcl, generate, train, generator, store, tmp_path):
    assert "a set on a web server can be trained on" in generate("https://host/set", code=2).stderr
    assert "cannot open nothing://set" in generate("nothing://set", code=2).stderr
    said = generate("s3://elsewhere/set", code=1).stderr
    assert "cannot write s3://elsewhere/set" in said and "make the bucket first" in said
    online = ["--online", "--generator", generator, "--record", URL]
    assert "a recording is cut back" in train(tmp_path / "online", *online, code=2).stderr
    assert "index a copy" in synthcl("shards", "index", URL, code=2).stderr
    assert "copy the set, and write the card there" in synthcl("shards", "card", URL, code=2).stderr
    store.choose = lambda method, path: "refused" if method == "PUT" else None
    said = generate(code=1).stderr
    assert f"cannot write {URL}/" in said and "access is refused" in said and "check the credentials" in said

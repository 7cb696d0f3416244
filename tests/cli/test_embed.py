"""`synthcl embed` as users call it, on real images and shard sets."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from synthcl.pipeline.data import open_images
from synthcl.pipeline.encoder import load_encoder

TINY = ["--image-size", "8", "--batch-size", "16", "--backbone", "resnet10-w8", "--precision", "fp32", "--steps", "2"]


@pytest.fixture(scope="module")
def run(synthcl, tmp_path_factory):
    path = tmp_path_factory.mktemp("embedded") / "run"
    synthcl("train", "--data", "digits", *TINY, "--out", path)
    return path


@pytest.fixture(scope="module")
def shards(synthcl, generator, tmp_path_factory):
    path = tmp_path_factory.mktemp("embedded") / "shards"
    synthcl("generate", "--generator", generator, "--num-samples", 12, "--pairs", "--out", path, "--workers", 0)
    return path


def test_a_row_an_image_with_the_encoders_features(synthcl, run, tmp_path):
    out = tmp_path / "test.parquet"
    made = synthcl("embed", run, "--data", "digits:test", "--out", out, "--json").json
    table, store = pq.read_table(out), open_images("digits:test", image_size=8)
    assert made["num_images"] == len(table) == len(store) and made["num_features"] == 64
    assert table.schema.field("embedding").type == pa.list_(pa.float32(), 64)
    assert table.schema.metadata[b"encoder_hash"].decode() == made["encoder_hash"]
    assert table["key"].to_pylist() == store.keys(range(len(store)))
    assert table["label"].to_pylist() == store.labels.tolist()
    features = np.stack(table["embedding"].to_pylist())
    np.testing.assert_allclose(features, load_encoder(run)(store.read(range(len(store)))), rtol=1e-4, atol=1e-5)


def test_real_and_synthetic_in_one_table_and_picture(synthcl, run, shards, tmp_path):
    out, picture = tmp_path / "both.parquet", tmp_path / "both.png"
    options = ["--num-images", 40, "--out", out, "--picture", picture]
    words = ["embed", run, "--data", "digits", "--data", shards, *options]
    made = synthcl(*words, "--json").json
    assert synthcl(*words).stderr.splitlines()[-1] == f"next: open {picture} to look at it"
    table = pq.read_table(out)
    assert made["num_images"] == 40 + 12 and made["picture"] == str(picture)
    assert table["source"].to_pylist() == ["digits:train"] * 40 + [str(shards)] * 12
    assert table["label"].null_count == 12 and len(set(table["key"].to_pylist()[:40])) == 40
    with Image.open(picture) as drawn:
        assert drawn.width > 500 and len(drawn.convert("RGB").resize((60, 48)).getcolors(60 * 48)) > 20


WRONG = {
    "no run": (["nowhere", "--data", "digits", "--out", "x.parquet"], 1, "there is no run nowhere"),
    "no data": (["RUN", "--out", "x.parquet"], 2, "--data"),
    "no such data": (["RUN", "--data", "nowhere/", "--out", "x.parquet"], 2, "nowhere"),
    "another ending": (["RUN", "--data", "digits", "--out", "x.csv"], 2, "x.csv must end in .parquet"),
    "method alone": (["RUN", "--data", "digits", "--out", "x.parquet", "--method", "pca"], 2, "--picture FILE.png"),
    "unknown method": (["RUN", "--data", "digits", "--out", "x.parquet", "--method", "som"], 2, "'tsne', 'pca'"),
}


@pytest.mark.parametrize(("arguments", "code", "message"), WRONG.values(), ids=WRONG.keys())
def test_wrong_use_gets_a_sentence(synthcl, run, tmp_path, monkeypatch, arguments, code, message):
    monkeypatch.chdir(tmp_path)
    arguments = [run if argument == "RUN" else argument for argument in arguments]
    assert message in " ".join(synthcl("embed", *arguments, code=code).stderr.split())
    assert not list(tmp_path.iterdir())


def test_umap_without_its_package_says_so_at_once(synthcl, run, tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda package: None)
    options = ["--out", tmp_path / "x.parquet", "--picture", tmp_path / "x.png", "--method", "umap"]
    assert "pip install umap-learn" in synthcl("embed", run, "--data", "digits", *options, code=2).stderr
    assert not list(tmp_path.iterdir())

"""The table of features: a row an image, null where nothing is known, the encoder in its metadata."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from synthcl.pipeline.data import open_images
from synthcl.pipeline.errors import DataError, UsageError
from synthcl.pipeline.exporting import embedding
from synthcl.pipeline.exporting.embedding import embed

NAME, SIZE = "resnet10-w8", 8
DATA = "digits:test[:20]"


@pytest.fixture
def encoder(make_encoder, tmp_path):
    return make_encoder(tmp_path / "encoder", NAME, SIZE)


def test_rows_are_images_with_what_is_known_of_them(encoder, make_set, tmp_path):
    shards = make_set(num_samples=3, images_per_sample=2)
    result = embed(tmp_path / "encoder", data=[DATA, str(shards)], out=str(tmp_path / "new" / "x.parquet"))
    table, store = pq.read_table(tmp_path / "new" / "x.parquet"), open_images(DATA, image_size=SIZE)
    assert table.schema.metadata == {
        b"run": str(tmp_path / "encoder").encode(),
        b"encoder_hash": encoder.weights_hash().encode(),
        b"backbone": NAME.encode(),
    }
    assert (result["num_images"], result["num_features"]) == (len(table), 64)
    made = len(table) - 20
    assert made in (3, 6)
    assert table["source"].to_pylist() == [store.name] * 20 + [str(shards)] * made
    assert table["key"].to_pylist()[:20] == store.keys(range(20)) and len(set(table["key"].to_pylist())) == len(table)
    assert table["label"].to_pylist() == [*store.labels.tolist(), *[None] * made]
    assert table["class"].to_pylist()[:20] == [str(store.class_names[i]) for i in store.labels]
    assert table.schema.field("embedding").type == pa.list_(pa.float32(), 64)
    found = np.stack(table["embedding"].to_pylist())
    with torch.no_grad():
        np.testing.assert_allclose(found[:20], encoder(store.read(range(20))), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("seed", [0, 1])
def test_a_part_is_drawn_by_the_seed_each_set_its_own(encoder, tmp_path, seed):
    keys = []
    for name in ("a", "b"):
        embed(tmp_path / "encoder", data=[DATA, DATA], num_images=5, seed=seed, out=str(tmp_path / f"{name}.parquet"))
        keys.append(pq.read_table(tmp_path / f"{name}.parquet")["key"].to_pylist())
    assert keys[0] == keys[1] and len(keys[0]) == 10
    assert set(keys[0][:5]) != set(keys[0][5:]) and set(keys[0]) <= set(open_images(DATA).keys(range(20)))
    if seed:
        embed(tmp_path / "encoder", data=[DATA, DATA], num_images=5, out=str(tmp_path / "c.parquet"))
        assert pq.read_table(tmp_path / "c.parquet")["key"].to_pylist() != keys[0]


@pytest.mark.parametrize(("data", "color_by"), [([DATA], "class"), ([DATA, DATA], "source")])
def test_colours_are_classes_of_one_set_and_sources_of_several(encoder, tmp_path, monkeypatch, data, color_by):
    from synthcl.pipeline.exporting import embedding_picture

    asked = []
    monkeypatch.setattr(
        embedding_picture, "draw_embedding", lambda table, *how: asked.append((len(table), *how)) or b"a picture"
    )
    options = {"out": str(tmp_path / "x.parquet"), "picture": str(tmp_path / "x.png"), "seed": 3}
    assert embed(tmp_path / "encoder", data=data, **options)["picture"] == str(tmp_path / "x.png")
    assert asked == [(20 * len(data), "tsne", color_by, 3)]
    assert (tmp_path / "x.png").read_bytes() == b"a picture"


def test_a_place_that_cannot_be_written_is_named(encoder, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"cannot write --out .*file/x\.parquet"):
        embed(tmp_path / "encoder", data=[DATA], out=str(tmp_path / "file" / "x.parquet"))


def test_umap_without_its_package_is_refused_before_anything_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(embedding.importlib.util, "find_spec", lambda package: None)
    options = {"picture": str(tmp_path / "x.png"), "method": "umap", "out": str(tmp_path / "x.parquet")}
    with pytest.raises(UsageError, match="pip install umap-learn"):
        embed("nowhere", data=[DATA], **options)

"""Scores of a set under an encoder."""

from pathlib import Path

import numpy as np
import pytest
import torch

from synthcl.learners import create_backbone
from synthcl.pipeline.encoder import Encoder
from synthcl.pipeline.errors import DataError, UsageError
from synthcl.pipeline.evaluation.sample_scores import hardness, score_shards
from synthcl.pipeline.randomness import Key
from synthcl.pipeline.shards import open_shard_set, write_shard_set
from synthcl.pipeline.views import Augmentation


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("encoder") / "encoder"
    torch.manual_seed(0)
    Encoder(create_backbone("resnet10-w16", image_size=16), "resnet10-w16", 16).save(path)
    return path


def test_hardness_is_the_contrastive_loss_of_a_samples_views() -> None:
    images = torch.randint(0, 256, (5, 2, 3, 4, 4), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    values = hardness(lambda x: x.flatten(1), images, torch.arange(5), Augmentation("none", size=4), Key.from_seed(0))
    # Without augmentation the two views of an image are the image itself.
    views = images.float().div(255).flatten(2).repeat_interleave(2, dim=1).flatten(0, 1)
    views = views / views.norm(dim=1, keepdim=True)
    expected = []
    for i in range(20):
        terms = torch.stack([(views[i] @ views[a] / 0.2).exp() for a in range(20) if a != i])
        positives = [p for p in range(i // 4 * 4, i // 4 * 4 + 4) if p != i]
        expected.append(-sum(((views[i] @ views[p] / 0.2).exp() / terms.sum()).log() for p in positives) / 3)
    assert torch.allclose(values, torch.stack(expected).reshape(5, 4).mean(dim=1), atol=1e-5)


@pytest.mark.parametrize("views", [1, 2])
def test_scores_become_columns(make_set, encoder: Path, views: int, digest) -> None:
    path = make_set(num_samples=90, samples_per_shard=40, images_per_sample=views)
    before = digest(path)
    result = score_shards(path, encoder=encoder, data=str(path), clusters=3, batch_size=32)
    assert result["columns"] == ["hardness", "cluster", "nearest_real_distance"] and result["num_samples"] == 90
    assert before.items() <= digest(path).items()
    shards = open_shard_set(path)
    assert np.isfinite(shards.column("hardness")).all() and shards.column("hardness").std() > 0
    assert set(shards.column("cluster")) == {0, 1, 2}
    # The "real" images are the set itself, so that every sample is its own nearest.
    assert np.abs(shards.column("nearest_real_distance")).max() < 1e-5
    hard = open_shard_set(path, where=f"hardness > {np.median(shards.column('hardness'))}")
    assert 30 <= len(hard) <= 60


def test_scores_do_not_depend_on_history(make_set, encoder: Path) -> None:
    columns = []
    for name in ("a", "b"):
        path = make_set(name, num_samples=70)
        score_shards(path, encoder=encoder, batch_size=32, seed=1)
        columns.append(open_shard_set(path).table(columns=["hardness", "cluster"]).to_pydict())
    assert columns[0] == columns[1]


def test_a_sample_that_others_resemble_is_harder(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (32, 1, 3, 16, 16), dtype=np.uint8)
    images[1:8] = images[0]
    write_shard_set(tmp_path / "s", {}, 32, 32, lambda i: images[i], workers=0)
    read = open_shard_set(tmp_path / "s").read_views(range(32))
    values = hardness(lambda x: x.flatten(1), read, torch.arange(32), Augmentation("none", size=16), Key.from_seed(0))
    assert values[:8].min() > values[8:].max()


def test_what_cannot_be_scored(make_set, encoder: Path, tmp_path: Path) -> None:
    path = make_set(num_samples=20)
    with pytest.raises(UsageError, match="--clusters 50 is more than the 20 samples"):
        score_shards(path, encoder=encoder, clusters=50)
    with pytest.raises(DataError, match="there is no run"):
        score_shards(path, encoder=tmp_path / "nowhere")
    score_shards(path, encoder=encoder, clusters=2)
    with pytest.raises(UsageError, match=r"is there already, of 20 samples; give --overwrite"):
        score_shards(path, encoder=encoder)


def test_a_set_that_has_grown_is_scored_again(make_set, encoder: Path) -> None:
    path = make_set(num_samples=40)
    score_shards(path, encoder=encoder, clusters=2)
    make_set(num_samples=60)
    with pytest.raises(
        DataError, match=r"'hardness' .* scored when the set had 40 samples, and now it has 60: .*--over"
    ):
        open_shard_set(path, where="hardness > 0")
    assert len(open_shard_set(path, where="sample_index < 50")) == 50  # what is not of the table can be read
    with pytest.raises(UsageError, match="of 40 samples; give --overwrite"):
        score_shards(path, encoder=encoder, clusters=2)
    assert score_shards(path, encoder=encoder, clusters=2, overwrite=True)["num_samples"] == 60
    assert len(open_shard_set(path, where="hardness > 0")) == 60

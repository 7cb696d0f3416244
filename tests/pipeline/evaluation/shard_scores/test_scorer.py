"""Scores of a batch of samples, against what they are by definition."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from synthcl.pipeline.configs.shards import ScoreConfig
from synthcl.pipeline.encoder import load_encoder
from synthcl.pipeline.evaluation.shard_scores.scorer import Scorer, find_references, hardness, joined
from synthcl.pipeline.randomness import Key
from synthcl.pipeline.shards import open_shard_set, write_shard_set
from synthcl.pipeline.views import Augmentation, normalize


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


def test_a_sample_that_others_resemble_is_harder(tmp_path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (32, 1, 3, 16, 16), dtype=np.uint8)
    images[1:8] = images[0]
    write_shard_set(tmp_path / "s", {}, 32, 32, lambda i: images[i], workers=0)
    read = open_shard_set(tmp_path / "s").read_views(range(32))
    values = hardness(lambda x: x.flatten(1), read, torch.arange(32), Augmentation("none", size=16), Key.from_seed(0))
    assert values[:8].min() > values[8:].max()


@pytest.fixture
def scorer(make_set, encoder_folder):
    """Of 70 samples, 32 at a time."""
    path = make_set(num_samples=70)
    config = ScoreConfig(encoder=str(encoder_folder), data=str(path), clusters=3, batch_size=32)
    cpu = torch.device("cpu")
    model, shards = load_encoder(config.encoder, cpu), open_shard_set(path)
    return Scorer(model, shards, find_references(model, shards, config, cpu), config, cpu)


def test_batches_in_any_order_are_the_whole_set(scorer):
    assert scorer.num_batches == 3
    parts = {batch: scorer.score(batch) for batch in (2, 0, 1)}
    assert [len(parts[batch]["hardness"]) for batch in range(3)] == [32, 32, 6]
    whole = joined([parts[batch] for batch in range(3)])
    again = joined([scorer.score(batch) for batch in range(3)])
    assert all(np.array_equal(whole[name], again[name]) for name in whole)
    assert {name: column.dtype for name, column in whole.items()} == {
        "hardness": np.float32,
        "cluster": np.int32,
        "nearest_real_distance": np.float32,
    }


def test_the_last_batch_is_as_hard_as_the_others(scorer):
    """Its six samples are told from 31 others, as those of the first are."""
    batch = torch.from_numpy(np.arange(38, 70))
    with torch.inference_mode():
        images = scorer.shards.read_views(batch.numpy())
        encode = scorer.model.backbone
        expected = hardness(lambda views: encode(normalize(views)), images, batch, scorer.augmentation, scorer.key)[-6:]
    assert np.allclose(scorer.score(2)["hardness"], expected.numpy(), atol=1e-4)


def test_clusters_and_distances_are_those_of_the_features(scorer):
    with torch.inference_mode():
        images = scorer.shards.read_views(np.arange(70))[:, 0]
        features = F.normalize(scorer.model(images), dim=1)
    found = joined([scorer.score(batch) for batch in range(3)])
    centres = torch.from_numpy(scorer.kmeans.cluster_centers_).float()
    assert np.array_equal(found["cluster"], torch.cdist(features, centres).argmin(dim=1).numpy())
    nearest = 1 - (features @ features.T).amax(dim=1)  # the "real" images are the set itself
    assert np.allclose(found["nearest_real_distance"], nearest.numpy(), atol=1e-5)

"""Embeddings in the plane: groups stay together, and the picture says how it was made."""

import sys
import types

import numpy as np
import pytest

from synthcl.pipeline.exporting.embedding_picture import describe_settings, project


@pytest.mark.parametrize("method", ["tsne", "pca"])
def test_groups_stay_together_in_the_plane(method):
    random = np.random.default_rng(0)
    centres = 20 * np.eye(60)[:3]
    features = (centres[np.arange(90) % 3] + random.normal(size=(90, 60))).astype(np.float32)
    points = project(features, method, seed=1)
    middle = np.stack([points[i::3].mean(0) for i in range(3)])
    nearest = np.linalg.norm(points[:, None] - middle, axis=2).argmin(1)
    assert points.shape == (90, 2) and (nearest == np.arange(90) % 3).mean() > 0.95


def test_umap_is_handed_features_and_seed(monkeypatch):
    """umap-learn compiles for 20 seconds at its first use, so a stand-in takes the call here."""

    class UMAP:
        def __init__(self, n_neighbors, random_state):
            assert (n_neighbors, random_state) == (15, 7)

        def fit_transform(self, features):
            return features[:, :2] + 1

    monkeypatch.setitem(sys.modules, "umap", types.SimpleNamespace(UMAP=UMAP))
    features = np.arange(100, dtype=np.float32).reshape(20, 5)
    np.testing.assert_array_equal(project(features, "umap", seed=7), features[:, :2] + 1)


def test_few_images_have_a_picture_too():
    assert project(np.ones((1, 5), np.float32), "tsne", seed=0).shape == (1, 2)


@pytest.mark.parametrize(
    ("shape", "method", "words"),
    [
        ((600, 64), "tsne", "features (64) at length 1, to 50 principal components, perplexity 30, seed 3"),
        ((31, 8), "tsne", "features (8) at length 1, perplexity 10, seed 3"),
        ((600, 64), "umap", "features (64) at length 1, 15 neighbours, seed 3"),
        ((600, 64), "pca", "features (64) at length 1"),
    ],
)
def test_a_picture_says_how_it_came_to_the_plane(shape, method, words):
    assert describe_settings(shape, method, 3) == words

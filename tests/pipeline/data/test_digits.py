"""The digits: their splits, and that they never change."""

import numpy as np

from synthcl.pipeline.data import open_images


def test_digits():
    train, test = open_images("digits"), open_images("digits:test")
    assert (len(train), len(test)) == (1442, 355)
    assert train.read([0]).shape == (1, 3, 8, 8)
    assert train.read(range(1442)).max() == 255
    share = np.bincount(test.labels) / (np.bincount(train.labels) + np.bincount(test.labels))
    assert np.all(abs(share - 0.2) < 0.01)
    assert train.class_names[3] == "3"
    whole = {image.numpy().tobytes() for store in (train, test) for image in store.read(range(len(store)))}
    assert len(whole) > 1790  # the splits have (next to) no image in common
    assert open_images("digits", image_size=16).read([5]).shape == (1, 3, 16, 16)


def test_digits_never_change():
    assert open_images("digits").fingerprint() == "e9d2b0ad6bff03f7"

"""Alignment and uniformity of an encoder's features."""

import pytest
import torch
from PIL import Image

from synthcl.pipeline.errors import DataError
from synthcl.pipeline.evaluation import evaluate_alignment
from synthcl.pipeline.evaluation.features import extract_features
from synthcl.pipeline.evaluation.representation import view_features
from synthcl.pipeline.randomness import Key
from synthcl.pipeline.views import Augmentation


def test_alignment_and_uniformity_of_an_encoder(run):
    results = {views: evaluate_alignment(run, "digits", views=views, num_images=100) for views in ("none", "digits")}
    assert results["none"]["alignment"] == pytest.approx(0, abs=1e-6)
    assert results["digits"]["alignment"] > 1e-3
    assert results["digits"]["uniformity"] < 0
    assert results["digits"]["data"] == "digits:test" and results["digits"]["num_images"] == 100


def test_the_validation_split_is_measured_where_there_is_no_test_split(run, tmp_path):
    for name in ("train/a/1", "train/a/2", "val/a/3", "val/a/4", "val/b/5"):
        path = tmp_path / "photos" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (40 * int(path.stem), 0, 0)).save(path)
    photos = str(tmp_path / "photos")
    found = evaluate_alignment(run, photos, views="none")
    assert found["data"] == f"{photos}:val" and found["num_images"] == 3
    assert evaluate_alignment(run, f"{photos}:train", views="none")["num_images"] == 2
    assert evaluate_alignment(run, f"{photos}/train", views="none")["num_images"] == 2


def test_one_image_is_refused(run):
    with pytest.raises(DataError, match=r"digits:test\[:1\] has one image; give two images or more"):
        evaluate_alignment(run, "digits:test[:1]")


def test_features_of_unchanged_views_are_those_of_the_images_at_unit_length(encoder, make_store):
    store = make_store(num_images=10)
    views = view_features(encoder, store, Augmentation("none", 8), Key.from_seed(0), batch_size=4)
    plain = torch.nn.functional.normalize(extract_features(encoder, store, device=torch.device("cpu")), dim=1)
    for number in (0, 1):
        torch.testing.assert_close(views[:, number], plain, rtol=1e-4, atol=1e-5)


def test_an_images_views_do_not_depend_on_the_batch_size(encoder, make_store):
    store, augmentation = make_store(num_images=10), Augmentation("digits", 8)
    whole, parts = (view_features(encoder, store, augmentation, Key.from_seed(0), batch_size=n) for n in (10, 3))
    torch.testing.assert_close(whole, parts, rtol=1e-4, atol=1e-5)
    assert (whole[:, 0] - whole[:, 1]).norm(dim=1).max() > 1e-2

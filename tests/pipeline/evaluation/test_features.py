import copy
import logging

import numpy as np
import pytest
import torch
from PIL import Image

from synthcl.pipeline.data import cached, open_images
from synthcl.pipeline.encoder import Encoder
from synthcl.pipeline.errors import DataError, RunStopped
from synthcl.pipeline.evaluation import features as module
from synthcl.pipeline.evaluation.features import (
    cached_features,
    choose_device,
    extract_features,
    own_batches,
    shared_features,
)

CPU = torch.device("cpu")


@pytest.fixture
def no_extraction(monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("extracted again")

    return lambda: monkeypatch.setattr(module, "extract_features", refuse)


@pytest.fixture
def photos(tmp_path):
    """A folder of more images than a fingerprint looks at: the second is not among those."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(200):
        Image.new("RGB", (8, 8), (number, 0, 0)).save(folder / f"{number:03d}.png")
    return folder


@pytest.mark.parametrize("batch_size", [1, 7, 100])
def test_all_images_in_their_order(encoder, make_store, batch_size):
    store = make_store()
    expected = encoder(store.read(range(len(store))))
    features = extract_features(encoder, store, batch_size=batch_size, device=CPU)
    torch.testing.assert_close(features, expected, rtol=1e-4, atol=1e-5)
    assert features.dtype == torch.float32 and not features.requires_grad


def test_bf16_is_near(encoder, make_store):
    exact = extract_features(encoder, make_store(), device=CPU)
    near = extract_features(encoder, make_store(), precision="bf16", device=CPU)
    assert 0 < (near - exact).norm() < 0.03 * exact.norm()


def test_kept_features_are_reused(encoder, make_store, tmp_path, no_extraction):
    first = cached_features(encoder, make_store(), tmp_path, device=CPU)
    no_extraction()
    again = cached_features(encoder, make_store("other name"), tmp_path, device=CPU)
    torch.testing.assert_close(again, first, rtol=0, atol=0)


@pytest.mark.parametrize("change", ["images", "encoder", "precision"])
def test_other_questions_are_not_answered_from_the_cache(encoder, make_store, tmp_path, no_extraction, change):
    cached_features(encoder, make_store(), tmp_path, device=CPU)
    no_extraction()
    other = encoder.untrained(5) if change == "encoder" else encoder
    with pytest.raises(AssertionError, match="extracted again"):
        cached_features(
            other, make_store(seed=change == "images"), tmp_path,
            precision="bf16" if change == "precision" else "fp32", device=CPU,
        )  # fmt: skip


def test_features_of_images_that_changed_are_extracted_again_and_replace_the_others(
    encoder, photos, tmp_path, no_extraction
):
    def features():
        return cached_features(encoder, open_images(str(photos), image_size=8), tmp_path / "cache", device=CPU)

    first = features()
    (before,) = (tmp_path / "cache").iterdir()
    Image.new("RGB", (8, 8), (0, 0, 255)).save(photos / "001.png")
    changed = features()
    assert not torch.allclose(changed[1], first[1])
    assert torch.equal(changed[2:], first[2:]) and torch.equal(changed[0], first[0])
    assert list((tmp_path / "cache").iterdir()) == [before]
    no_extraction()
    assert torch.equal(features(), changed)


def test_nothing_is_kept_where_a_file_is_gone(encoder, photos, tmp_path):
    store = cached(open_images(str(photos), image_size=8), "ram", "cpu")
    store.read([0])  # all are decoded with the first
    (photos / "001.png").unlink()
    assert len(cached_features(encoder, store, tmp_path / "cache", device=CPU)) == 200
    assert not (tmp_path / "cache").exists()


def test_damaged_files_are_written_anew(encoder, make_store, tmp_path, caplog):
    first = cached_features(encoder, make_store(), tmp_path, device=CPU)
    (file,) = tmp_path.iterdir()
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    torch.testing.assert_close(cached_features(encoder, make_store(), tmp_path, device=CPU), first, rtol=0, atol=0)
    assert len(file.read_bytes()) == len(whole) and "extracted again" in caplog.text
    assert list(tmp_path.iterdir()) == [file]


def test_a_folder_that_cannot_be_written_is_said(encoder, make_store, tmp_path, caplog):
    (tmp_path / "file").write_text("")
    with caplog.at_level(logging.WARNING):
        features = cached_features(encoder, make_store(), tmp_path / "file" / "cache", device=CPU)
    assert len(features) == 60 and "not kept" in caplog.text


def test_diverged_encoders_are_refused(encoder, make_store):
    broken = Encoder(encoder.backbone, encoder.name, encoder.image_size)
    next(broken.backbone.parameters()).fill_(float("nan"))
    with pytest.raises(DataError, match="not finite"):
        extract_features(broken, make_store(), device=CPU)


def test_device_is_what_there_is():
    assert choose_device().type == ("cuda" if torch.cuda.is_available() else "cpu")


def test_shared_features_are_those_of_one_process(encoder, make_store):
    expected = extract_features(encoder, make_store(), device=CPU)
    torch.testing.assert_close(shared_features(encoder, make_store(), CPU), expected, rtol=1e-4, atol=1e-5)
    broken = Encoder(copy.deepcopy(encoder.backbone), encoder.name, encoder.image_size)
    next(broken.backbone.parameters()).fill_(float("nan"))
    with pytest.raises(RunStopped, match="not finite for images of made"):
        shared_features(broken, make_store(), CPU)


def test_processes_share_the_batches_of_one(monkeypatch):
    monkeypatch.setattr(module, "SHARED_BATCH", 4)
    alone = [rows.tolist() for rows in own_batches(18)]
    assert np.concatenate(alone).tolist() == list(range(18)) and len(alone[-1]) == 2
    monkeypatch.setattr(module, "world_size", lambda: 3)
    shares = []
    for process in range(3):
        monkeypatch.setattr(module, "rank", lambda process=process: process)
        shares.append([rows.tolist() for rows in own_batches(18)])
    assert sorted(rows for share in shares for rows in share) == alone and [len(share) for share in shares] == [2, 2, 1]

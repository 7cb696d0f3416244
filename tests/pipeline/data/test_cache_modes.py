"""The modes of the cache are those that `cached` takes."""

import pytest
import torch

from synthcl.pipeline.data import cached, open_images
from synthcl.pipeline.data.cache_modes import CACHE_MODES


@pytest.mark.parametrize("mode", CACHE_MODES)
def test_each_mode_is_one_that_images_can_be_kept_in(mode, tmp_path, monkeypatch, picture):
    monkeypatch.setenv("SYNTHCL_CACHE", str(tmp_path / "cache"))
    picture().save(tmp_path / "a.png")
    store = open_images(str(tmp_path), image_size=8)
    assert torch.equal(cached(store, mode, "cpu").read([0]), store.read([0]))

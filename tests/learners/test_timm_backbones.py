"""Backbones of timm."""

import pytest
import torch

from synthcl.learners import create_backbone, timm_backbones


# mobilenetv3 gives more features than it calls num_features; a vision transformer must be told the size.
@pytest.mark.parametrize(("name", "features"), [("vit_tiny_patch16_224", 192), ("mobilenetv3_small_050", 1024)])
def test_a_timm_model_is_a_backbone(name, features):
    backbone = create_backbone(f"timm:{name}", image_size=32)
    assert backbone.training
    assert backbone.num_features == features
    assert backbone(torch.zeros(2, 3, 32, 32)).shape == (2, features)


def test_an_unknown_timm_model_lists_near_matches():
    with pytest.raises(ValueError, match=r"no model 'resnet18x'\. Near matches: .*resnet18"):
        create_backbone("timm:resnet18x", image_size=32)


def test_a_timm_model_that_cannot_take_the_image_size_says_so():
    with pytest.raises(ValueError, match=r"timm:vit_tiny_patch16_224 cannot be used on images of 8 pixels"):
        create_backbone("timm:vit_tiny_patch16_224", image_size=8)


def test_a_missing_timm_says_how_to_install_it(monkeypatch):
    monkeypatch.setattr(timm_backbones, "timm", None)
    with pytest.raises(ValueError, match="pip install timm"):
        create_backbone("timm:resnet18", image_size=32)

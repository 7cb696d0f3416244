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


# A vision transformer with position embeddings of one size, one with windows, and a residual net, which takes any.
@pytest.mark.parametrize("name", ["test_vit", "swin_tiny_patch4_window7_224", "test_resnet"])
def test_a_timm_model_takes_images_of_another_size_with_the_weights_of_the_first(name):
    backbones = []
    for other_sizes in ([], [32]):
        torch.manual_seed(0)
        backbones.append(create_backbone(f"timm:{name}", image_size=64, other_sizes=other_sizes).eval())
    plain, both = backbones
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    assert both(images[..., :32, :32]).shape == (2, both.num_features)
    assert torch.equal(both(images), plain(images))
    assert plain.state_dict().keys() == both.state_dict().keys()


def test_a_timm_model_of_one_size_says_so():
    words = "timm:beit_base_patch16_224 for images of 64 pixels takes none of 32 pixels besides: .* Choose another"
    with pytest.raises(ValueError, match=words):
        create_backbone("timm:beit_base_patch16_224", image_size=64, other_sizes=[32])


@pytest.mark.parametrize(
    ("name", "told"),
    [("test_vit", True), ("swin_tiny_patch4_window7_224", True), ("test_resnet", False)],
)
def test_what_timm_must_be_told_of_the_size_is_known_and_no_random_number_is_drawn(name, told):
    before = torch.get_rng_state()
    assert timm_backbones.size_options(name, 224) == ({"img_size": 224} if told else {})
    assert torch.equal(torch.get_rng_state(), before)


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

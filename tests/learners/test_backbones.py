"""Backbones: shapes, the stem by image size, torchvision's names, timm's models, and what goes wrong."""

import pytest
import torch
import torchvision
from torch import nn

from synthcl.learners import backbone_names, create_backbone

FEATURES = {"resnet10": 512, "resnet18": 512, "resnet34": 512, "resnet50": 2048}


def test_every_backbone_is_tested():
    assert set(FEATURES) == set(backbone_names())


@pytest.mark.parametrize("name", FEATURES)
@pytest.mark.parametrize("image_size", [32, 72])
def test_a_backbone_gives_its_number_of_features(name, image_size):
    backbone = create_backbone(name, image_size=image_size).eval()
    with torch.no_grad():
        features = backbone(torch.zeros(1, 3, image_size, image_size))
    assert features.shape == (1, FEATURES[name])
    assert backbone.num_features == FEATURES[name]


@pytest.mark.parametrize("name", ["resnet18", "resnet34", "resnet50"])
def test_a_backbone_for_large_images_is_torchvisions_without_its_classifier(name):
    backbone = create_backbone(name, image_size=224).eval()
    reference = getattr(torchvision.models, name)()
    missing, unexpected = reference.load_state_dict(backbone.state_dict(), strict=False)
    assert (set(missing), unexpected) == ({"fc.weight", "fc.bias"}, [])
    reference.fc = nn.Identity()
    images = torch.randn(2, 3, 80, 80, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.equal(backbone(images), reference.eval()(images))


def test_a_backbone_for_small_images_differs_from_torchvisions_in_its_stem_alone():
    backbone = create_backbone("resnet18", image_size=32)
    reference = torchvision.models.resnet18().state_dict()
    shapes = {name: tensor.shape for name, tensor in backbone.state_dict().items()}
    assert shapes.pop("conv1.weight") == (64, 3, 3, 3)
    assert shapes == {n: t.shape for n, t in reference.items() if n in shapes}
    assert backbone.layer1(backbone.maxpool(backbone.conv1(torch.zeros(1, 3, 32, 32)))).shape == (1, 64, 32, 32)


@pytest.mark.parametrize(("image_size", "kernel"), [(8, 3), (64, 3), (65, 7), (96, 7)])
def test_the_stem_follows_the_image_size(image_size, kernel):
    assert create_backbone("resnet10-w16", image_size=image_size).conv1.kernel_size == (kernel, kernel)


def test_the_width_scales_every_stage():
    backbone = create_backbone("resnet10-w16", image_size=96)
    assert [getattr(backbone, f"layer{i}")[0].conv2.out_channels for i in (1, 2, 3, 4)] == [16, 32, 64, 128]
    assert backbone.conv1.out_channels == backbone.bn1.num_features == 16
    assert backbone.num_features == 128
    assert backbone(torch.zeros(2, 3, 96, 96)).shape == (2, 128)


def test_the_stem_is_initialised_as_the_rest():
    torch.manual_seed(0)
    weight = create_backbone("resnet18", image_size=32).conv1.weight
    assert weight.std().item() == pytest.approx((2 / (64 * 9)) ** 0.5, rel=0.1)  # fan out


def test_a_backbone_keeps_channels_last():
    backbone = create_backbone("resnet10-w16", image_size=16).to(memory_format=torch.channels_last)
    images = torch.randn(2, 3, 16, 16).to(memory_format=torch.channels_last)
    assert backbone.layer1(backbone.conv1(images)).is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("name", ["resnet17", "resnet", "resnet18-w0", "resnet18-w", "RESNET18", ""])
def test_an_unknown_backbone_lists_those_there_are(name):
    with pytest.raises(ValueError, match=r"Unknown backbone .*resnet10, resnet18, resnet34, resnet50;.*timm:NAME"):
        create_backbone(name, image_size=32)


def test_an_image_size_of_zero_is_refused():
    with pytest.raises(ValueError, match="image_size must be at least 1, not 0"):
        create_backbone("resnet18", image_size=0)

"""Layer-wise decay: timm's for the same model with a classifier, and backbones whose layers are not known."""

import pytest
import torch
from torch import nn

from synthcl.learners import create_backbone
from synthcl.learners.layers import layer_scales

timm = pytest.importorskip("timm")

# A class token; the mean of the patches, with a norm after it; windows in stages; a residual net of timm's.
MODELS = ["test_vit", "vit_base_patch16_clip_quickgelu_224", "test_vit3", "swin_tiny_patch4_window7_224", "test_resnet"]


@pytest.mark.parametrize("decay", [0.75, 0.5])
@pytest.mark.parametrize("name", MODELS)
def test_scales_are_timms_of_the_model_with_its_classifier(name, decay):
    from timm.optim import param_groups_layer_decay

    with torch.device("meta"):
        ours = timm.create_model(name, num_classes=0)
        theirs = timm.create_model(name, num_classes=10)
    names = {id(parameter): key for key, parameter in theirs.named_parameters()}
    groups = param_groups_layer_decay(theirs, layer_decay=decay)
    expected = {names[id(parameter)]: group["lr_scale"] for group in groups for parameter in group["params"]}
    found = layer_scales(ours, decay)
    assert found.keys() == {key for key, _ in ours.named_parameters()}
    assert found == pytest.approx({key: expected[key] for key in found})
    assert len(set(found.values())) > 3 and max(found.values()) <= 1


def test_by_hand_of_six_blocks():
    scales = layer_scales(create_backbone("timm:test_vit", image_size=32), 0.5)
    assert scales["patch_embed.proj.weight"] == scales["pos_embed"] == 0.5**7
    for block in range(6):
        assert scales[f"blocks.{block}.mlp.fc1.weight"] == 0.5 ** (6 - block)
    assert scales["norm.weight"] == 0.5


@pytest.mark.parametrize("backbone", [create_backbone("resnet10-w8", image_size=8), nn.Linear(2, 2)])
def test_a_backbone_of_unknown_layers_is_refused(backbone):
    words = f"layer-wise decay is for backbones of timm, .* those of a {type(backbone).__name__} are not"
    with pytest.raises(ValueError, match=words):
        layer_scales(backbone, 0.75)

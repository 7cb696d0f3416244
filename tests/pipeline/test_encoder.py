import json

import pytest
import torch

from synthcl.learners import create_backbone
from synthcl.pipeline.encoder import Encoder, find_encoder, load_encoder
from synthcl.pipeline.errors import DataError
from synthcl.pipeline.views import normalize

NAME, SIZE = "resnet10-w8", 16


@pytest.fixture
def backbone():
    torch.manual_seed(0)
    return create_backbone(NAME, image_size=SIZE)


@pytest.fixture
def encoder(backbone):
    return Encoder(backbone, NAME, SIZE)


@pytest.fixture
def images():
    return torch.randint(0, 256, (5, 3, SIZE, SIZE), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


def test_features_are_those_of_the_backbone_on_normalised_images(encoder, backbone, images):
    expected = backbone.eval()(normalize(images.float() / 255))
    features = encoder(images)
    assert features.shape == (5, encoder.num_features) and features.dtype == torch.float32
    torch.testing.assert_close(features, expected)


def test_other_sizes_are_resized(encoder, images):
    plain = images[..., :1, :1]  # one colour an image, which no resizing changes
    features = encoder(plain.expand(-1, -1, SIZE, SIZE))
    assert (features[0] - features[1]).norm() > 0.1
    torch.testing.assert_close(encoder(plain.expand(-1, -1, 2 * SIZE, 2 * SIZE)), features, rtol=1e-3, atol=1e-3)


def test_it_is_frozen_and_a_copy(encoder, backbone, images):
    before = encoder(images)
    encoder.train()
    encoder(images)
    assert not encoder.backbone.training and not any(p.requires_grad for p in encoder.parameters())
    assert all(p.requires_grad for p in backbone.parameters())
    with torch.no_grad():
        for parameter in backbone.parameters():
            parameter.add_(1)
    torch.testing.assert_close(encoder(images), before, rtol=0, atol=0)


@pytest.mark.parametrize("inside_a_run", [False, True])
def test_saved_and_loaded_is_the_same(encoder, images, tmp_path, inside_a_run):
    folder = tmp_path / "run" / "encoder"
    encoder.save(folder)
    encoder.save(folder)  # a finished run that is run again replaces it
    assert sorted(p.name for p in folder.iterdir()) == ["config.json", "model.safetensors"]
    assert [p.name for p in folder.parent.iterdir()] == ["encoder"]
    state = torch.get_rng_state()
    loaded = load_encoder(folder.parent if inside_a_run else folder)
    assert torch.equal(torch.get_rng_state(), state)
    torch.testing.assert_close(loaded(images), encoder(images), rtol=0, atol=0)
    assert loaded.weights_hash() == encoder.weights_hash()


def test_hash_depends_on_weights_and_architecture(encoder, backbone):
    assert Encoder(backbone, NAME, SIZE).weights_hash() == encoder.weights_hash()
    assert Encoder(backbone, NAME, SIZE + 1).weights_hash() != encoder.weights_hash()
    with torch.no_grad():
        next(backbone.parameters()).view(-1)[0] += 1e-3
    assert Encoder(backbone, NAME, SIZE).weights_hash() != encoder.weights_hash()


def test_untrained_depends_on_the_seed_alone(encoder):
    state = torch.get_rng_state()
    hashes = [encoder.untrained(seed).weights_hash() for seed in (0, 1, 0)]
    assert torch.equal(torch.get_rng_state(), state)
    assert hashes[0] == hashes[2] != hashes[1]


@pytest.mark.parametrize("what", ["weights", "flipped", "truncated", "config", "format", "backbone", "size"])
def test_damage_is_named(encoder, tmp_path, what):
    folder = tmp_path / "encoder"
    encoder.save(folder)
    weights, config = folder / "model.safetensors", folder / "config.json"
    data = bytearray(weights.read_bytes())
    values = json.loads(config.read_text())
    if what == "weights":
        weights.write_bytes(b"")
    elif what == "flipped":
        data[-5] ^= 64
        weights.write_bytes(data)
    elif what == "truncated":
        weights.write_bytes(data[: len(data) // 2])
    elif what == "config":
        config.write_text(config.read_text()[:30])
    elif what == "format":
        config.write_text(json.dumps(values | {"format": "other"}))
    elif what == "backbone":
        config.write_text(json.dumps(values | {"backbone": "resnet99"}))
    else:
        config.write_text(json.dumps(values | {"image_size": "16"}))
    with pytest.raises(DataError, match=str(folder)):
        load_encoder(tmp_path)


def test_what_is_no_encoder_is_named(tmp_path):
    with pytest.raises(DataError, match="there is no run"):
        find_encoder(tmp_path / "missing")
    with pytest.raises(DataError, match="neither a run"):
        find_encoder(tmp_path)
    (tmp_path / "run.json").write_text("{}")
    with pytest.raises(DataError, match="not finished"):
        find_encoder(tmp_path)

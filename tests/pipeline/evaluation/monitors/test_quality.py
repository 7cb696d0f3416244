"""`pretrain --eval-every`: the numbers are right, nothing notices, and encoders that may favour samples are refused."""

import dataclasses
import json
import logging

import numpy as np
import pytest
import torch

from synthcl.generators.gan import GANGenerator
from synthcl.pipeline.configs.regimes import REGIMES
from synthcl.pipeline.data.memory import MemoryStore
from synthcl.pipeline.errors import DataError, RunStopped, UsageError
from synthcl.pipeline.evaluation.checkerboard import checkerboard
from synthcl.pipeline.evaluation.features import extract_features
from synthcl.pipeline.evaluation.frechet import frechet_distance
from synthcl.pipeline.evaluation.manifold import measure_manifold
from synthcl.pipeline.evaluation.monitors import quality as module
from synthcl.pipeline.evaluation.monitors.quality import MEASURES, QualityMonitor, open_real_encoder
from synthcl.pipeline.evaluation.samples import GeneratorStore, PartStore

CPU = torch.device("cpu")
SIZE = 8
RANDOM = "random:resnet10-w16"


@pytest.fixture
def generator():
    torch.manual_seed(0)
    return GANGenerator(image_size=SIZE, widths=[8, 8]).eval().requires_grad_(False)


def opened(encoder, store, num_samples=40, seed=0):
    return QualityMonitor(encoder, len(store), num_samples, seed, CPU)


def test_it_is_what_the_measures_say_of_the_first_samples_and_of_two_parts_of_the_images(
    encoder, generator, make_store, monkeypatch
):
    monkeypatch.setattr(module, "RECALL_SAMPLES", 30)
    store = make_store(num_images=100)
    quality = opened(encoder, store)
    parts = np.split(quality.chosen, 2)
    assert len(set(quality.chosen.tolist())) == 80, "the parts share no image"
    real, others = (extract_features(encoder, PartStore(store, part), device=CPU) for part in parts)
    drawn = GeneratorStore(generator, "g", 40, 0, CPU)
    samples = extract_features(encoder, drawn, device=CPU)
    manifold = measure_manifold(real[:30], samples[:30], 5)
    expected = [frechet_distance(real, samples), manifold.precision, manifold.recall, frechet_distance(real, others)]
    expected += [checkerboard(images).mean().item() for images in (drawn.read(range(40)), store.read(parts[0]))]
    for _ in range(2):
        assert quality(generator, store) == pytest.approx(dict(zip(MEASURES, expected, strict=True)), rel=1e-4)


def test_samples_of_another_size_have_no_checkerboard_to_compare(encoder, generator, make_store):
    store = make_store(num_images=100)
    quality = opened(encoder, store)
    larger = GANGenerator(image_size=2 * SIZE, widths=[8, 8, 8]).eval().requires_grad_(False)
    for _ in range(2):
        assert list(quality(larger, store)) == list(MEASURES[:4])
    assert list(opened(encoder, store)(generator, store)) == list(MEASURES)


def test_images_and_samples_are_drawn_by_the_seed(encoder, generator, make_store):
    store = make_store(num_images=100)
    first, again, other = (opened(encoder, store, seed=seed) for seed in (0, 0, 1))
    assert np.array_equal(first.chosen, again.chosen) and not np.array_equal(first.chosen, other.chosen)
    assert first(generator, store) == again(generator, store) != other(generator, store)


def test_real_images_as_samples_come_to_the_distance_of_real_images(encoder, make_store):
    """A generator that gives the images of the other part is as far off as they are."""
    store = make_store(num_images=200)
    quality = opened(encoder, store, num_samples=100)
    images = store.read(quality.chosen[100:]).float() / 127.5 - 1

    class Replays(GANGenerator):
        def sample_latents(self, n, *, draws=None, device=None):
            return draws.indices

        def forward(self, latents):
            return images[latents]

    measured = quality(Replays(image_size=SIZE, widths=[8, 8]), store)
    assert measured["frechet_distance"] == pytest.approx(measured["frechet_distance_real"], rel=1e-3)
    assert measured["recall"] > 0.8 and measured["precision"] > 0.8


def test_the_generator_is_left_as_it_is_and_no_random_number_is_drawn(encoder, generator, make_store):
    before = {name: tensor.clone() for name, tensor in generator.state_dict().items()}
    state, store = torch.get_rng_state(), make_store(num_images=100)
    opened(encoder, store)(generator, store)
    assert torch.equal(torch.get_rng_state(), state) and not generator.training
    assert all(torch.equal(before[name], tensor) for name, tensor in generator.state_dict().items())


def test_few_images_give_as_many_samples_as_half_of_them_and_very_few_are_refused(encoder, make_store, caplog):
    assert opened(encoder, make_store(num_images=60)).num_samples == 30
    assert "the Fréchet distance means little" in caplog.text
    with pytest.raises(UsageError, match="cannot be used with 11 images"):
        opened(encoder, make_store(num_images=11))


def test_an_encoder_that_gives_no_numbers_stops_the_run(encoder, generator, make_store):
    import copy

    broken, store = copy.deepcopy(encoder), make_store(num_images=100)
    next(broken.backbone.parameters()).fill_(float("nan"))
    with pytest.raises(RunStopped, match="not finite"):
        opened(broken, store)(generator, store)


def with_config(text):
    return lambda run: (run / "config.yaml").write_text(text)


def with_result(regime):
    return lambda run: (run / "result.json").write_text(json.dumps({"regime": regime}))


REFUSED = {
    "online": (with_config("data: digits\nonline: true\ngenerator: runs/gan\n"), "regime online"),
    "offline": (with_config("data: digits\nshards: [shards/c10]\n"), "regime offline"),
    "fresh": (with_config("data: digits\nfresh: true\ngenerator: runs/gan\n"), "regime fresh"),
    "replay": (with_config("data: digits\nreplay: recording\n"), "regime replay"),
    "by its result": (with_result("another"), "regime another"),
    "the test split": (with_config("data: cifar10:test\n"), "the split test of cifar10:test, which is held out"),
    "a validation split": (with_config("data: photos:val\n"), "the split val of photos:val"),
    "files of a test split": (with_config("data: data/test-00000.parquet\n"), "the split test of"),
}


@pytest.mark.parametrize(("change", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_encoders_of_other_than_real_training_images_are_refused(run, change, message):
    change(run)
    with pytest.raises(UsageError, match="--eval-encoder") as error:
        open_real_encoder(str(run), SIZE)
    assert message in str(error.value) and "give a run of `synthcl train` on the training images" in str(error.value)


def test_an_unfinished_run_of_a_regime_that_was_added_is_refused(run, monkeypatch):
    added = dataclasses.replace(REGIMES["replay"], name="dreamt", selected_by="dream")
    monkeypatch.setitem(REGIMES, "dreamt", added)
    with_config("data: digits\ndream: somewhere\n")(run)
    with pytest.raises(UsageError, match=r"trained on synthetic images too \(regime dreamt\)"):
        open_real_encoder(str(run), SIZE)


@pytest.mark.parametrize("data", ["digits", "cifar10:train", "photos", "stl10:unlabeled", "data/train-00000.parquet"])
def test_encoders_of_real_training_images_are_taken(run, encoder, data):
    with_config(f"data: {data}\n")(run)
    with_result("real")(run)
    assert open_real_encoder(str(run), SIZE).weights_hash() == encoder.weights_hash()
    assert open_real_encoder(str(run / "encoder"), SIZE).weights_hash() == encoder.weights_hash()


def test_a_classifier_that_was_trained_with_labels_is_refused(tmp_path):
    (tmp_path / "run.json").write_text(json.dumps({"command": "eval finetune"}))
    with pytest.raises(UsageError, match="a classifier that was trained with labels"):
        open_real_encoder(str(tmp_path), SIZE)


def test_an_encoder_of_unknown_origin_is_taken_with_a_sentence(encoder, tmp_path, caplog):
    encoder.save(tmp_path / "alone")
    with caplog.at_level(logging.WARNING):
        open_real_encoder(str(tmp_path / "alone"), SIZE)
    assert "what its encoder was trained on is not known" in caplog.text


@pytest.mark.parametrize(
    "make", [lambda path: None, lambda path: path.mkdir()], ids=["nothing there", "an empty folder"]
)
def test_a_folder_without_an_encoder_is_named(tmp_path, make):
    make(tmp_path / "x")
    with pytest.raises(DataError, match=str(tmp_path / "x")):
        open_real_encoder(str(tmp_path / "x"), SIZE)


def test_an_encoder_of_random_weights_is_the_same_each_time_and_takes_no_random_number():
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    one = open_real_encoder(RANDOM, SIZE)
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.manual_seed(2)
    other = open_real_encoder(RANDOM, SIZE)
    assert one.weights_hash() == other.weights_hash() and one.image_size == SIZE
    assert open_real_encoder(RANDOM, 16).image_size == 16


def test_an_encoder_of_random_weights_finds_images_the_further_the_more_they_are_changed(make_store):
    encoder = open_real_encoder(RANDOM, SIZE)
    images = make_store(num_images=200).read(range(200)).float()
    noise = torch.randn(images.shape, generator=torch.Generator().manual_seed(0))

    def features(strength):
        changed = (images + strength * noise).clamp(0, 255).to(torch.uint8)
        return extract_features(encoder, MemoryStore(changed, "changed", None, None), device=CPU)

    distances = [frechet_distance(features(0), features(strength)) for strength in (0, 10, 20, 40)]
    assert distances == sorted(distances) and distances[0] < 1e-6 < distances[1] < distances[3] / 4


def test_an_unknown_backbone_is_named():
    with pytest.raises(UsageError, match="resnet99"):
        open_real_encoder("random:resnet99", SIZE)

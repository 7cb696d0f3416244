"""Recording: exactly what the learner's views show, with what it felt, under a recipe that tells recordings apart."""

import threading
from itertools import combinations

import pytest
import torch

from synthcl.generators.fingerprint import fingerprint
from synthcl.generators.gan import GANGenerator
from synthcl.learners.base import LearnerOutput
from synthcl.pipeline.configs.train import TrainConfig
from synthcl.pipeline.errors import DataError, UsageError
from synthcl.pipeline.generation.opening import open_generator
from synthcl.pipeline.regimes import recording as recording_module
from synthcl.pipeline.regimes.base import MultiViewedBatch
from synthcl.pipeline.regimes.gradients import quantize
from synthcl.pipeline.regimes.online import build as build_online
from synthcl.pipeline.regimes.recording import (
    LATER,
    open_recording,
    record,
    sample_hardness,
    sample_images,
    sample_similarity,
)
from synthcl.pipeline.shards import open_shard_set
from synthcl.pipeline.shards.manifest import read_manifest
from synthcl.pipeline.shards.sidecar import CONDITIONS
from synthcl.pipeline.views import to_float

NUM_REAL, LATENTS, VIEWS = 4, 3, 2  # views of real images; samples, each of two images with two views
LATENT = torch.tensor([[1.0], [-2.0], [3.0]])


def a_step(seed=0, num_images=2):
    generator = torch.Generator().manual_seed(seed)
    n = NUM_REAL + LATENTS * num_images * VIEWS
    embeddings = torch.nn.functional.normalize(torch.randn(n, 5, generator=generator), dim=1)
    batch = MultiViewedBatch(torch.zeros(n, 3, 8, 8), torch.zeros(n, dtype=torch.int64), NUM_REAL)
    return batch, LearnerOutput(torch.zeros(()), torch.rand(n, generator=generator), embeddings)


def drawn(num_images=2):
    generator = torch.Generator().manual_seed(1)
    return [quantize(torch.rand(LATENTS, 3, 8, 8, generator=generator)) for _ in range(num_images)]


@pytest.mark.parametrize("num_images", [1, 2, 4])
def test_images_in_bytes_are_those_that_the_learner_saw(num_images):
    samples = drawn(num_images)
    images = sample_images(samples)
    assert images.dtype == torch.uint8 and images.shape == (LATENTS, num_images, 3, 8, 8)
    for i, seen in enumerate(samples):
        assert torch.equal(to_float(images[:, i]), seen)


def test_hardness_is_the_mean_over_a_samples_views():
    batch, output = a_step()
    found = sample_hardness(batch, output, 2 * VIEWS)
    for j in range(LATENTS):
        first = NUM_REAL + j * 2 * VIEWS
        expected = sum(output.hardness[first + i].item() for i in range(2 * VIEWS)) / (2 * VIEWS)
        assert found[j].item() == pytest.approx(expected)


@pytest.mark.parametrize("num_images", [2, 3, 5])
def test_similarity_is_between_views_of_one_image_and_of_another(num_images):
    batch, output = a_step(num_images=num_images)
    found = sample_similarity(batch, output, VIEWS, num_images)
    for j in range(LATENTS):
        images = output.embeddings[NUM_REAL:].unflatten(0, (LATENTS, num_images, VIEWS))[j]
        cosines = [float(a @ b) for one, other in combinations(images, 2) for a in one for b in other]
        assert found[j].item() == pytest.approx(sum(cosines) / len(cosines), abs=1e-6)


def test_the_similarity_of_a_pair_is_to_the_bit_that_of_its_two_images():
    batch, output = a_step()
    first, second = output.embeddings[NUM_REAL:].unflatten(0, (-1, 2, VIEWS)).unbind(1)
    expected = torch.einsum("mid,mjd->mij", first, second).mean(dim=(1, 2))
    assert torch.equal(sample_similarity(batch, output, VIEWS), expected)


def test_the_similarity_is_computed_in_float32_under_autocast():
    batch, output = a_step()
    plain = sample_similarity(batch, output, VIEWS)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(sample_similarity(batch, output, VIEWS), plain)


@pytest.fixture
def opened(save_gan, tmp_path):
    """`opened(main_process, **options)`: a recording into `rec` under options of an online or a fresh run."""
    run = save_gan()

    def open_one(main_process=True, computes_in="fp32", **options):
        values = {"data": "digits", "out": "run", "steps": 3, "record": str(tmp_path / "rec"), **options}
        generator = open_generator(str(run))
        generator.computes_in = computes_in
        values.setdefault("online", not options.get("fresh"))
        config = TrainConfig(generator=str(run), **values)
        return open_recording(config, generator, main_process), generator

    return open_one


def write_one(recording):
    with recording.recorder as recorder:
        recorder.rewind(0)
        recorder.finish()


def test_what_is_recorded_reads_back(opened, tmp_path):
    recording, generator = opened()
    assert recording.generator == fingerprint(generator)[:12] and recording.describe is None
    batch, output = a_step()
    hardness, similarity = sample_hardness(batch, output, 4), sample_similarity(batch, output, VIEWS)
    with recording.recorder as recorder:
        recorder.rewind(0)
        for step in range(2):
            record(recording, step, drawn(), LATENT, hardness, similarity, f"{recording.generator}@{step}")
        recorder.finish()
    shards = open_shard_set(tmp_path / "rec")
    assert torch.equal(shards.read_views([0, 1, 2]), sample_images(drawn()))
    table = shards.table(range(6), ["step", "hardness", "pair_similarity", "generator"]).to_pydict()
    assert table["step"] == [0, 0, 0, 1, 1, 1]
    assert table["hardness"] == pytest.approx(hardness.tolist() * 2)
    assert table["pair_similarity"] == pytest.approx(similarity.tolist() * 2)
    assert set(table["generator"]) == {f"{recording.generator}@{step}" for step in (0, 1)}
    assert not set(CONDITIONS) & set(shards.locator.column_names()) and "columns" not in shards.recipe.values


def signs(self, latents):
    """What a generator of two classes would say, read value by value, which waits for a device."""
    return {"class": [int(value > 0) for value in latents[:, 0]], "guidance": [2.5] * len(latents)}


def test_what_samples_were_drawn_for_is_recorded_and_asked_for_in_another_thread(opened, tmp_path, monkeypatch):
    threads = []

    def watched(self, latents):
        threads.append(threading.current_thread())
        return signs(self, latents)

    monkeypatch.setattr(GANGenerator, "describe", watched)
    recording, _ = opened()
    threads.clear()
    with recording.recorder as recorder:
        recorder.rewind(0)
        for step, latents in enumerate((LATENT, -LATENT)):
            record(recording, step, drawn(), latents, torch.zeros(LATENTS), None, "g")
        recorder.finish()
    assert len(threads) == 2 and threading.current_thread() not in threads
    shards = open_shard_set(tmp_path / "rec")
    assert shards.recipe.values["columns"] == ["class", "guidance"]
    assert shards.table(columns=["class", "guidance"]).to_pydict() == {
        "class": [1, 0, 1, 0, 1, 0],
        "guidance": [2.5] * 6,
    }
    assert len(open_shard_set(tmp_path / "rec", where="class = 1 and step = 0")) == 2


@pytest.mark.parametrize("described", [False, True])
def test_a_process_that_does_not_write_sends_its_latents_where_they_say_something(opened, monkeypatch, described):
    if described:
        monkeypatch.setattr(GANGenerator, "describe", signs)
    recording, _ = opened(main_process=False)
    sent = []
    monkeypatch.setattr(recording_module, "gather", lambda tensor: sent.append(tensor) or tensor)
    record(recording, 0, drawn(), LATENT, torch.zeros(LATENTS), None, recording.generator)
    assert [one.shape for one in sent] == [(LATENTS, 2, 3, 8, 8), (LATENTS,), *([LATENT.shape] if described else [])]


def test_names_that_a_set_has_no_columns_for_are_refused_before_the_run(opened, monkeypatch):
    monkeypatch.setattr(GANGenerator, "describe", lambda self, latents: {"colour": [0] * len(latents)})
    with pytest.raises(DataError, match="describes its samples by 'colour'"):
        opened()


def test_the_main_process_alone_writes(opened, tmp_path):
    recording, _ = opened(main_process=False)
    assert recording.recorder is None and not (tmp_path / "rec").exists()
    record(recording, 0, drawn(), LATENT, torch.zeros(LATENTS), None, recording.generator)
    assert not (tmp_path / "rec").exists()
    assert opened(record=None)[0] is None


@pytest.mark.parametrize("options", [{"out": "elsewhere"}, {"steps": 9}, {"keep": 5}, {"checkpoint_every": 2}])
def test_a_run_that_goes_on_with_what_may_change_records_into_the_same_set(opened, options):
    write_one(opened()[0])
    write_one(opened(**options)[0])


@pytest.mark.parametrize(
    "options", [{"seed": 1}, {"batch_size": 64}, {"hard": False}, {"computes_in": "bf16"}, {"fresh": True}]
)
def test_another_run_is_refused_its_folder(opened, tmp_path, options):
    write_one(opened()[0])
    with pytest.raises(UsageError, match=str(tmp_path / "rec")):
        write_one(opened(**options)[0])


def test_options_of_later_are_in_the_recipe_only_where_they_say_something(opened, tmp_path):
    recording, _ = opened()
    write_one(recording)
    recorded = read_manifest(tmp_path / "rec").recipe.values["recorded"]
    assert not recorded.keys() & set(LATER) and "synthetic_ratio" in recorded
    assert recorded["shards_per_window"] == 8  # as in recipes of the time when this was the default
    with pytest.raises(UsageError, match="resize_samples"):
        opened(resize_samples=True)[0].recorder.__enter__()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"discriminator_augment": "pretrained"}, None),
        ({"discriminator_augment": "cutout"}, "cutout"),
        ({"online": False, "fresh": True}, None),
    ],
)
def test_what_the_discriminator_sees_is_in_the_recipe_where_it_is_not_as_pretrained(opened, tmp_path, options, said):
    write_one(opened(**options)[0])
    assert read_manifest(tmp_path / "rec").recipe.values["recorded"].get("discriminator_augment") == said


def test_samples_of_a_generator_that_learns_are_named_by_how_often_it_was_updated(setup_of, save_gan, tmp_path):
    options = {"online": True, "hard": False, "generator": str(save_gan()), "record": str(tmp_path / "rec")}
    online = build_online(setup_of(**options))
    with online.open():
        online.recorder.rewind(0)
        for step in range(3):
            batch = online.batch(step, None)
            embeddings = torch.ones(len(batch.views), 5)
            online.feedback(step, batch, LearnerOutput(torch.zeros(()), torch.ones(len(embeddings)), embeddings), None)
        online.recorder.finish()
    shards = open_shard_set(tmp_path / "rec")
    expected = [f"{online.recording.generator}+{step}" for step in range(3) for _ in range(online.samples_per_step)]
    assert shards.table(range(len(shards))).to_pydict()["generator"] == expected

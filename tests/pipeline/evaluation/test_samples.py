"""What quality is measured of: sets, generators, images, and random parts of them."""

import pytest
import torch

from synthcl.pipeline.errors import DataError
from synthcl.pipeline.evaluation.samples import is_shard_set, open_samples, random_part
from synthcl.pipeline.randomness import Key

CPU = torch.device("cpu")


def test_a_generators_samples_are_those_it_would_write(generator, shards):
    drawn = open_samples(str(generator), 40, 3, CPU)
    written = open_samples(str(shards), None, 0, CPU)
    assert torch.equal(drawn.read([5, 0, 39]), written.read([5, 0, 39]))
    assert len(drawn) == len(written) == 40


def test_a_random_part_is_one_of_different_images(make_store):
    store = make_store(num_images=50)
    part = random_part(store, 20, Key.from_seed(0))
    numbers = [int(key) for key in part.keys(range(20))]
    assert len(set(numbers)) == 20 and numbers != sorted(numbers)
    assert torch.equal(part.read([3, 1]), store.read([numbers[3], numbers[1]]))
    assert part.labels.tolist() == store.labels[numbers].tolist()
    assert len(random_part(store, 500, Key.from_seed(0))) == 50


def test_what_is_neither_set_nor_generator_is_opened_as_images(picture, tmp_path):
    picture(0, 8).save(tmp_path / "a.png")
    store = open_samples(str(tmp_path), None, 0, CPU)
    assert len(store) == 1 and store.keys([0]) == ["a.png"]
    assert not is_shard_set(str(tmp_path))


def test_a_run_is_not_taken_for_a_folder_of_its_pictures(run, picture):
    picture(0, 8).save(run / "samples.png")
    with pytest.raises(ValueError, match="run"):
        open_samples(str(run), None, 0, CPU)


def test_nothing_that_can_be_measured_is_named(tmp_path):
    with pytest.raises(DataError, match=r"nowhere is no shard set, no generator \(.*\) and no images \(.*\)"):
        open_samples(str(tmp_path / "nowhere"), None, 0, CPU)


def test_a_location_on_the_hub_may_be_images(hub, picture, encode):
    hub.put("dataset", "me/set", {"a/0.png": encode(picture(0, 8)), "b/1.png": encode(picture(1, 8))})
    assert not is_shard_set("hf://datasets/me/set") and is_shard_set("s3://bucket/set")
    assert len(open_samples("hf://datasets/me/set", None, 0, CPU)) == 2

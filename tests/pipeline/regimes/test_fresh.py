"""The fresh regime: new samples at each step from a generator that nothing moves."""

import copy

import pytest
import torch

from synthcl.generators import create_trainer
from synthcl.learners import create_backbone, create_learner
from synthcl.pipeline.data import open_images
from synthcl.pipeline.randomness import Key
from synthcl.pipeline.regimes.assembly import RealImages, ViewMaker
from synthcl.pipeline.regimes.base import Share, synthetic_share
from synthcl.pipeline.regimes.fresh import FreshRegime, build
from synthcl.pipeline.regimes.online import build as build_online
from synthcl.pipeline.regimes.recording import RunRecording
from synthcl.pipeline.shards import ShardRecorder, open_shard_set
from synthcl.pipeline.views import Augmentation, normalize, to_float

CPU = torch.device("cpu")
SIZE = 8


def regime(pair_strength=0.3, rank=0, num_processes=1, seed=0, group_size=2) -> FreshRegime:
    key = Key.from_seed(seed)
    torch.manual_seed(0)
    generator = create_trainer("gan", SIZE, preset="tiny").ema
    real = RealImages.create(open_images("digits", image_size=SIZE), Share(8, rank, num_processes), key, CPU)
    views = ViewMaker(Augmentation("none", SIZE), key)
    share = synthetic_share(8, 0.5, rank, num_processes)
    return FreshRegime(real, views, generator, share, key, group_size, pair_strength)


def test_each_step_has_new_samples_and_the_generator_stays():
    one = regime()
    before = copy.deepcopy(one.generator.state_dict())
    first, second = one.batch(0, None), one.batch(1, None)
    assert first.num_real == 16 and len(first.views) == 16 + 16
    assert not torch.equal(first.views[16:], second.views[16:])
    assert torch.equal(first.views, regime().batch(0, None).views)
    assert all(torch.equal(value, before[name]) for name, value in one.generator.state_dict().items())
    assert one.state_dict() == {} and one.samples_per_step == 4


def test_pairs_are_near_and_single_images_are_one():
    views = regime(0.3).batch(0, None).views[16:].unflatten(0, (4, 4))
    # Without augmentation the two views of an image are the image.
    assert torch.equal(views[:, 0], views[:, 1]) and not torch.equal(views[:, 0], views[:, 2])
    alone = regime(None, group_size=1).batch(0, None)
    assert len(alone.views) == 16 + 8 and torch.equal(alone.views[16::2], views[:, 0])
    group = regime(0.3, group_size=4).batch(0, None).views[16:].unflatten(0, (4, 8))
    assert torch.equal(group[:, :4], views) and not torch.equal(group[:, 4], group[:, 6])
    far = regime(1.0).batch(0, None).views[16:].unflatten(0, (4, 4))
    assert (views[:, 0] - views[:, 2]).norm() < (far[:, 0] - far[:, 2]).norm()


def learn(one, steps=2):
    """Give a regime's batches to a learner that stays as it is; the metrics of each step."""
    torch.manual_seed(1)
    learner = create_learner("simclr", create_backbone("resnet10-w8", image_size=SIZE)).eval()
    rows = []
    with one.open(), torch.no_grad():
        for journal in one.journals:
            journal.rewind(0)
        for step in range(steps):
            batch = one.batch(step, learner)
            output = learner(batch.views, batch.groups, batch.num_real)
            rows.append({name: float(value) for name, value in one.feedback(step, batch, output, learner).items()})
        one.save(None)
    return rows


@pytest.mark.parametrize("group_size", [1, 2, 4])
def test_a_recording_holds_the_groups_that_the_learner_saw_and_changes_nothing(tmp_path, group_size):
    strength = 0.3 if group_size > 1 else None
    plain, recorded = (regime(strength, group_size=group_size) for _ in range(2))
    recorder = ShardRecorder(tmp_path / "rec", {"seed": 0}, images_per_sample=group_size, workers=0)
    recorded.recording = RunRecording(recorder, "a generator")
    assert learn(recorded) == learn(plain)
    assert plain.journals == [] and plain.recorder is None
    shards = open_shard_set(tmp_path / "rec")
    assert shards.views_per_sample == group_size and len(shards) == 2 * 4
    # Without augmentation the first view of an image is the image, normalised.
    seen = plain.batch(1, None).views[16:].unflatten(0, (4, group_size, 2))[:, :, 0]
    torch.testing.assert_close(seen, normalize(to_float(shards.read_views(range(4, 8))).flatten(0, 1)).view_as(seen))
    table = shards.table(range(8)).to_pydict()
    assert set(table["generator"]) == {"a generator"} and table["step"] == [0] * 4 + [1] * 4
    assert all((value is None) == (group_size == 1) for value in table["pair_similarity"])


def test_options_say_where_to_record(setup_of, save_gan, tmp_path):
    options = {"fresh": True, "generator": str(save_gan()), "images_per_sample": 3}
    one = build(setup_of(record=str(tmp_path / "rec"), **options))
    learn(one, 1)
    assert open_shard_set(tmp_path / "rec").views_per_sample == 3
    assert build(setup_of(**options)).recording is None


@pytest.mark.parametrize(("rank", "num_processes"), [(0, 1), (1, 2)])
def test_its_latents_are_those_of_online_by_the_name_that_runs_know(setup_of, save_gan, rank, num_processes):
    options = {"rank": rank, "num_processes": num_processes, "generator": str(save_gan())}
    fresh, online = build(setup_of(fresh=True, **options)), build_online(setup_of(online=True, **options))
    total, share = fresh.samples_per_step, fresh.share
    for step in (0, 2):
        draws = Key.from_seed(0).child("online").child(step).at(share.numbers(CPU), step * total)
        expected = fresh.generator.sample_latents(total // num_processes, draws=draws)
        for one in (fresh, online):
            assert torch.equal(one.batch(step, None).latents, expected)


@pytest.mark.parametrize("num_processes", [2, 4])
def test_processes_together_see_the_batch_of_one(num_processes):
    whole = regime().batch(3, None)
    parts = [regime(rank=rank, num_processes=num_processes).batch(3, None) for rank in range(num_processes)]
    groups = torch.cat([part.groups for part in parts])
    order = torch.argsort(groups, stable=True)
    assert torch.equal(groups[order], whole.groups)
    views = torch.cat([part.views for part in parts])[order]
    torch.testing.assert_close(views, whole.views, rtol=1e-4, atol=2e-2)  # one level of 255, in units of views

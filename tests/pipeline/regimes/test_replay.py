"""The replay regime: each step's recorded samples, image for image, with the views of that step."""

import numpy as np
import pytest
import torch

from synthcl.pipeline.errors import UsageError
from synthcl.pipeline.regimes.assembly import assemble
from synthcl.pipeline.regimes.base import Share
from synthcl.pipeline.regimes.replay import ReplayRegime, build
from synthcl.pipeline.shards import ShardRecorder, open_shard_set
from synthcl.pipeline.views import denormalize, to_float


@pytest.fixture
def replay(parts, recording):
    """`replay(...)`: of one process of several; `total` samples a step, of a training of `steps`."""

    def make(rank=0, num_processes=1, total=4, steps=3, path=recording, views="simclr-cifar", labels=None):
        one = parts(rank, num_processes, augmentation=views, with_labels=labels is not None)
        share = Share(total, rank, num_processes)
        return ReplayRegime(one.real, one.views, open_shard_set(path), share, steps, labels)

    return make


@pytest.fixture(scope="module")
def recording_of(tmp_path_factory, images_of_step):
    """`recording_of(views)`: three steps of four groups, drawn by a generator that stayed as it was."""

    def make(views):
        folder = tmp_path_factory.mktemp("groups") / "rec"
        recipe = {"recorded": {"fresh": True}, "generator": {"weights": "a" * 64}}
        with ShardRecorder(folder, recipe, samples_per_shard=5, images_per_sample=views, workers=0) as recorder:
            recorder.rewind(0)
            for step in range(3):
                recorder.append(step, images_of_step(step, views), hardness=np.zeros(4))
            recorder.finish()
        return folder

    return make


@pytest.mark.parametrize("views", [1, 2, 4])
@pytest.mark.parametrize("ahead", [False, True])
def test_a_step_shows_what_was_recorded_in_it_in_the_views_of_its_step(
    parts, replay, recording_of, images_of_step, ahead, views
):
    one, regime = parts(augmentation="simclr-cifar"), replay(path=recording_of(views))

    def check(step):
        recorded = to_float(torch.from_numpy(images_of_step(step, views)))
        samples = [recorded[:, number] for number in range(views)]
        expected = assemble(one.real, one.views, Share(4), step, one.real.images(step), samples)
        batch = regime.batch(step, None)
        assert torch.equal(batch.views, expected.views) and torch.equal(batch.groups, expected.groups)
        assert batch.num_real == expected.num_real

    if not ahead:
        check(2)  # as a resumed run begins
        return
    with regime.open():
        for step in range(3):
            check(step)


@pytest.mark.parametrize("num_processes", [2, 4])
def test_processes_together_see_the_batch_of_one(replay, joined, num_processes):
    whole = replay().batch(1, None)
    groups, views = joined([replay(rank, num_processes).batch(1, None) for rank in range(num_processes)])
    assert torch.equal(groups, whole.groups)
    torch.testing.assert_close(views, whole.views)


@pytest.mark.parametrize(("rank", "num_processes"), [(0, 1), (0, 2), (1, 2)])
def test_each_view_of_a_sample_has_its_label(replay, images_of_step, rank, num_processes):
    labels = 5 * torch.arange(12) % 12  # another for each
    regime = replay(rank, num_processes, views="none", labels=labels)
    recorded = to_float(torch.from_numpy(np.concatenate([images_of_step(step) for step in range(3)]))).flatten(0, 1)
    for step in (0, 2):
        batch = regime.batch(step, None)
        seen = denormalize(batch.views[batch.num_real :])
        shown = torch.cdist(seen.flatten(1), recorded.flatten(1)).argmin(dim=1) // 2  # of two images a sample
        assert batch.labels[batch.num_real :].tolist() == labels[shown].tolist()


def test_its_facts_name_the_set_and_no_generator(replay, recording):
    """The generator changed while it recorded."""
    whole = open_shard_set(recording)
    assert replay().facts == {"set_hashes": [whole.recipe.hash], "set_sizes": [len(whole)]}
    assert replay().made_of == {"replay": f"recipe {whole.recipe.hash[:16]}"}


def test_its_facts_name_a_generator_that_stayed_as_it_was(replay, recording_of):
    assert replay(path=recording_of(3)).facts["generator_hash"] == "a" * 64


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"total": 8}, "was recorded with 4 samples a step, not 8; give the recorded run's --batch-size"),
        ({"steps": 4}, "holds 3 steps, fewer than the 4 to train; give --steps 3"),
    ],
)
def test_a_training_that_does_not_fit_the_recording_is_refused(replay, options, message):
    with pytest.raises(UsageError, match=message):
        replay(**options)


def test_a_set_made_ahead_is_no_recording(replay, shards):
    with pytest.raises(UsageError, match=f"--replay {shards} is no recording of a training; use it with --shards"):
        replay(path=shards)


def test_options_that_the_recording_does_not_serve_are_refused(setup_of, recording):
    with pytest.raises(UsageError, match="holds 2 images a sample, and --recipe adainf is for single ones"):
        build(setup_of(replay=str(recording), recipe="adainf"))

"""The real images for a generator in training: those of the learner, of its own size, in any number of processes."""

import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from synthcl.generators import create_trainer
from synthcl.learners import create_backbone, create_learner
from synthcl.pipeline.data import cached, caching, open_images
from synthcl.pipeline.data.memory import MemoryStore
from synthcl.pipeline.randomness import Key
from synthcl.pipeline.regimes.assembly import RealImages, ViewMaker
from synthcl.pipeline.regimes.base import Share, resized, synthetic_share
from synthcl.pipeline.regimes.counterparts import Counterparts, open_counterparts
from synthcl.pipeline.regimes.online import OnlineRegime
from synthcl.pipeline.regimes.online_options import OnlineOptions
from synthcl.pipeline.regimes.setup import RegimeSetup
from synthcl.pipeline.views import Augmentation

CPU = torch.device("cpu")
SIZE, LARGER, BATCH_SIZE, STEPS = 8, 16, 8, 4


@pytest.fixture
def pictures(tmp_path):
    """`pictures(height)`: a folder of 20 images, each of one gray, wider than high."""

    def make(*heights):
        folder = tmp_path / "pictures"
        folder.mkdir()
        for i in range(20):
            height = heights[i % len(heights)]
            Image.new("RGB", (height + 4, height), (10 * i,) * 3).save(folder / f"{i:02d}.png")
        return folder

    return make


def setup_on(setup_of, data, rank=0, num_processes=1, ratio=0.5, **options) -> RegimeSetup:
    """What joint training on images of a folder is built from, at `SIZE`."""
    one = setup_of(
        rank, num_processes, online=True, generator="gan", data=str(data), synthetic_ratio=ratio, steps=STEPS, **options
    )
    store = open_images(str(data), image_size=SIZE)
    share = Share(BATCH_SIZE, rank, num_processes)
    real = RealImages.create(store, share, one.key, CPU)
    return RegimeSetup(**{**vars(one), "real": real, "total_steps": STEPS})


def counterparts_of(setup, size=LARGER) -> Counterparts:
    return open_counterparts(setup, setup.synthetic_share(), size)


@pytest.mark.parametrize("ratio", [0.25, 0.5, 2.0])
@pytest.mark.parametrize("num_processes", [1, 2])
def test_larger_ones_are_the_learners_images_read_at_the_generators_size(setup_of, pictures, ratio, num_processes):
    folder = pictures(LARGER)
    found = []
    for rank in range(num_processes):
        setup = setup_on(setup_of, folder, rank, num_processes, ratio)
        made, own = counterparts_of(setup), []
        with made.reading_ahead():
            for step in range(STEPS):
                real = setup.real.images(step)
                images = made.images(step, real)
                assert images.shape == (8 * ratio / num_processes, 3, LARGER, LARGER)
                places = torch.arange(len(images)) * len(real) // len(images)
                # A gray is the same at any size.
                assert torch.equal(images[:, :, 0, 0], real[places][:, :, 0, 0] * 2 - 1)
                own.append(images)
        found.append(torch.stack(own))
    whole = setup_on(setup_of, folder, ratio=ratio)
    made = counterparts_of(whole)
    expected = torch.stack([made.images(step, whole.real.images(step)) for step in range(STEPS)])
    assert torch.equal(torch.cat(found, dim=1), expected)
    assert len(expected.flatten(0, 1)[:, 0, 0, 0].unique()) > 4


def test_where_the_generators_are_not_larger_the_learners_are_resized(setup_of, pictures):
    setup = setup_on(setup_of, pictures(LARGER))
    real = torch.rand(BATCH_SIZE, 3, SIZE, SIZE)
    for size in (SIZE, SIZE // 2):
        made = counterparts_of(setup, size)
        assert made.larger is None
        torch.testing.assert_close(made.images(0, real), resized(real[::2], size) * 2 - 1)


def test_each_image_is_read_once_and_only_those_that_are_compared_with():
    read = []

    class Noting(MemoryStore):
        def read(self, indices):
            read.append(np.asarray(indices).tolist())
            return super().read(indices)

    real = RealImages.create(
        MemoryStore(torch.zeros(20, 3, SIZE, SIZE, dtype=torch.uint8), "x"), Share(BATCH_SIZE), Key.from_seed(0), CPU
    )
    store = Noting(torch.zeros(20, 3, LARGER, LARGER, dtype=torch.uint8), "x")
    for ratio, every in ((0.5, 2), (2.0, 1)):
        made = Counterparts.create(real, synthetic_share(BATCH_SIZE, ratio, 0, 1), LARGER, store, STEPS)
        assert len(made.images(1, torch.zeros(BATCH_SIZE, 3, SIZE, SIZE))) == BATCH_SIZE * ratio
        assert read.pop() == real.order.indices(1)[::every].tolist() and not read


@pytest.mark.parametrize(
    ("heights", "words"),
    [
        ((LARGER,), None),
        (
            (LARGER, 12),
            r"gan makes images of 16 pixels, and 10 of 20 images of .* have fewer \(12 at the least\)",
        ),
        ((SIZE,), r"and 20 of 20 images .*: they are enlarged for it, and it learns to blur like them; give larger"),
    ],
)
def test_images_that_would_be_enlarged_are_told_of(setup_of, pictures, caplog, heights, words):
    counterparts_of(setup_on(setup_of, pictures(*heights)))
    assert len(caplog.messages) == (words is not None)
    if words is not None:
        assert re.search(words, caplog.text)


def test_the_larger_images_take_no_memory_that_the_learners_were_given(setup_of, pictures, monkeypatch):
    setup = setup_on(setup_of, pictures(LARGER))
    small, large = (20 * 3 * size**2 for size in (SIZE, LARGER))
    free = {"bytes": 2 * (small + large)}
    monkeypatch.setattr(caching, "available_ram", lambda: free["bytes"])
    for less, kept in ((0, True), (1, False)):
        free["bytes"] -= less
        real = replace(setup.real, store=cached(setup.real.store))
        store = counterparts_of(replace(setup, real=real)).larger.store
        assert isinstance(store, MemoryStore) == kept


def test_runs_of_one_comparison_share_the_larger_images_and_keep_them_apart_from_the_learners(setup_of, pictures):
    setup = setup_on(setup_of, pictures(LARGER))
    with caching.shared_cache():
        small = cached(setup.real.store)
        first, second = (counterparts_of(setup).larger.store for _ in range(2))
    assert first is second is not small
    assert (first.image_size, small.image_size) == (LARGER, SIZE)


def test_the_gradient_goes_to_larger_images_and_the_generator_learns_on_larger_real_ones():
    key = Key.from_seed(0)
    torch.manual_seed(0)
    trainer = create_trainer("gan", LARGER, preset="tiny")
    real = RealImages.create(open_images("digits", image_size=SIZE), Share(BATCH_SIZE), key, CPU)
    share, large = synthetic_share(BATCH_SIZE, 0.5, 0, 1), open_images("digits", image_size=LARGER)
    counterparts = Counterparts.create(real, share, LARGER, large, STEPS)
    regime = OnlineRegime(
        real,
        ViewMaker(Augmentation("none", SIZE), key),
        trainer,
        share,
        key,
        OnlineOptions(),
        counterparts=counterparts,
    )
    learner = create_learner("simclr", create_backbone("resnet10-w8", image_size=SIZE))
    shown, step = [], trainer.step
    trainer.step = lambda real, draws, **given: shown.append((real, given)) or step(real, draws, **given)
    batch = regime.batch(2, learner)
    assert batch.views.shape[-1] == batch.samples[0].shape[-1] == SIZE
    output = learner(batch.views, batch.groups, batch.num_real)
    output.loss.backward()
    assert (batch.leaf.grad.abs().sum(dim=(1, 2, 3)) > 0).all() and batch.leaf.shape == (4, 3, LARGER, LARGER)
    before = [parameter.detach().clone() for parameter in trainer.generator.parameters()]
    assert regime.feedback(2, batch, output, learner)["hard_ratio"] > 0
    assert any(not torch.equal(*pair) for pair in zip(before, trainer.generator.parameters(), strict=True))
    ((images, given),) = shown
    assert torch.equal(images, large.read(real.order.indices(2)[::2]).float() / 255 * 2 - 1)
    assert given["images"].shape == given["hard_gradient"].shape == images.shape

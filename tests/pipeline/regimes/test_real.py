"""The real regime: two views of each image of the step, and nothing that a step leaves behind."""

import torch

from synthcl.pipeline.regimes.real import RealRegime, build
from synthcl.pipeline.views import normalize


def test_a_batch_is_the_views_of_the_steps_real_images(parts):
    one = parts()
    batch = RealRegime(one.real, one.views).batch(4, None)
    assert batch.num_real == len(batch.views) == 16
    assert batch.groups.tolist() == [i // 2 for i in range(16)]
    torch.testing.assert_close(batch.views, normalize(one.real.images(4)).repeat_interleave(2, dim=0))


def test_a_step_is_the_same_after_any_history(parts):
    one = parts(augmentation="simclr-cifar")
    regime = RealRegime(one.real, one.views)
    trained = [regime.batch(step, None).views for step in range(4)]
    again = parts(augmentation="simclr-cifar")
    resumed = RealRegime(again.real, again.views)
    resumed.load_state_dict(regime.state_dict())
    assert torch.equal(resumed.batch(3, None).views, trained[3])
    assert not torch.equal(trained[2], trained[3])
    other = parts(augmentation="simclr-cifar", seed=1)
    assert not torch.equal(RealRegime(other.real, other.views).batch(3, None).views, trained[3])


def test_processes_together_see_the_batch_of_one(setup_of, joined):
    whole = build(setup_of()).batch(2, None)
    groups, views = joined([build(setup_of(rank, 4)).batch(2, None) for rank in range(4)])
    assert torch.equal(groups, whole.groups) and torch.equal(views, whole.views)

"""From options to the regime that they name."""

import pytest

from synthcl.pipeline.configs.regimes import REGIMES
from synthcl.pipeline.errors import UsageError
from synthcl.pipeline.regimes.fresh import FreshRegime
from synthcl.pipeline.regimes.offline import OfflineRegime
from synthcl.pipeline.regimes.online import OnlineRegime
from synthcl.pipeline.regimes.real import RealRegime
from synthcl.pipeline.regimes.replay import ReplayRegime
from synthcl.pipeline.regimes.setup import build_regime

KINDS = {
    "real": RealRegime,
    "offline": OfflineRegime,
    "fresh": FreshRegime,
    "online": OnlineRegime,
    "replay": ReplayRegime,
}


@pytest.fixture
def given(save_gan, shards, recording):
    """The options that choose each regime."""
    gan = str(save_gan())
    return {
        "real": {},
        "offline": {"shards": [str(shards)]},
        "fresh": {"fresh": True, "generator": gan},
        "online": {"online": True, "generator": gan},
        "replay": {"replay": str(recording)},
    }


@pytest.mark.parametrize("name", REGIMES)
def test_options_build_the_regime_that_they_name(setup_of, given, name):
    regime = build_regime(setup_of(**given[name]))
    assert type(regime) is KINDS[name]
    batch = regime.batch(0, None)
    assert batch.num_real == 16
    assert regime.samples_per_step == len(batch.groups[16:].unique()) == (0 if name == "real" else 4)


@pytest.mark.parametrize("name", [name for name in REGIMES if name != "real"])
def test_samples_that_parts_cannot_share_are_refused(setup_of, given, name):
    with pytest.raises(UsageError, match=r"\(4\) cannot be shared evenly by --accumulate 8 parts"):
        build_regime(setup_of(accumulate=8, **given[name]))


@pytest.mark.parametrize("name", ["offline", "fresh", "online", "replay"])
def test_samples_of_another_size_are_refused(setup_of, given, name, monkeypatch):
    setup = setup_of(**given[name])
    monkeypatch.setattr(setup.real.store, "image_size", 16)
    with pytest.raises(UsageError, match=r"images of 8 pixels, and (the )?training is at 16; give --image-size 8"):
        build_regime(setup)


def test_the_latents_of_a_step_follow_the_ratio_and_the_process(setup_of, given):
    share = setup_of(1, 2, synthetic_ratio=2.0, **given["fresh"]).synthetic_share()
    assert (share.total, share.slice) == (16, slice(8, 16))

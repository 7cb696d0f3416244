"""Options of commands that can run on a Ray cluster, the same for all of them."""

import pytest

from synthcl.pipeline.configs.generate import GenerateConfig
from synthcl.pipeline.configs.shards import ScoreConfig
from synthcl.pipeline.errors import UsageError

GIVEN = {
    GenerateConfig: {"generator": "g", "num_samples": 4, "out": "o"},
    ScoreConfig: {"encoder": "runs/real"},
}


@pytest.mark.parametrize("kind", GIVEN)
def test_what_a_pool_is_made_with(kind):
    given = {"ray_address": "10.0.0.1:6379", "ray_workers": 3, "worker_cpus": 2.0, "worker_gpus": 0.5}
    config = kind(**GIVEN[kind], executor="ray", **given)
    assert config.pool_options() == {"address": "10.0.0.1:6379", "workers": 3, "cpus": 2.0, "gpus": 0.5}


@pytest.mark.parametrize("kind", GIVEN)
@pytest.mark.parametrize("name", ["ray_address", "ray_workers", "worker_cpus", "worker_gpus"])
def test_options_of_a_cluster_need_one(kind, name):
    with pytest.raises(UsageError, match=f"--{name.replace('_', '-')} .*--executor ray"):
        kind(**GIVEN[kind], **{name: "x:1" if name == "ray_address" else 2})


@pytest.mark.parametrize("kind", GIVEN)
def test_a_launcher_beside_a_cluster_is_refused(kind, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert kind(**GIVEN[kind]).executor == "local"
    with pytest.raises(UsageError, match="--executor ray starts its workers itself; call it without torchrun"):
        kind(**GIVEN[kind], executor="ray")

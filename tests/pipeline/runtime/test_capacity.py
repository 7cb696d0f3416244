"""How much RAM there is: the least of what the machine and the container allow, shared by local processes."""

import pytest

from synthcl.pipeline.runtime import capacity


@pytest.mark.parametrize(("free", "limit", "expected"), [(100, None, 100), (100, 40, 40), (None, 70, 70), (30, 40, 30)])
def test_the_least_limit_counts(monkeypatch, free, limit, expected):
    monkeypatch.setattr(capacity, "_meminfo", lambda: free)
    monkeypatch.setattr(capacity, "_cgroup", lambda: limit)
    monkeypatch.delenv("LOCAL_WORLD_SIZE", raising=False)
    assert capacity.available_ram() == expected
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    assert capacity.available_ram() == expected // 2


def test_this_machine_has_some():
    assert capacity.available_ram() > 2**20

"""The pool without Ray; test_ray_sets.py has it at work, and loses its workers."""

import importlib.util
from collections import deque

import pytest

from synthcl.pipeline.cluster import ray_pool
from synthcl.pipeline.cluster.ray_pool import AT_ONCE, RayPool
from synthcl.pipeline.errors import UsageError


def test_without_ray_a_sentence_says_what_to_install(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"needs the package ray. Install it: pip install ray"):
        RayPool(dict)


@pytest.mark.parametrize(
    ("waiting", "at_hand", "failed", "expected"),
    [
        (0, [[], []], [], [0, 0]),
        (1, [[], []], [], [1, 0]),
        (2, [[], []], [], [1, 1]),
        (3, [[], []], [], [1, 1]),  # the third is for who is free first
        (40, [[], []], [], [AT_ONCE, AT_ONCE]),
        (40, [[90], []], [], [AT_ONCE - 1, AT_ONCE]),
        (40, [list(range(90, 90 + AT_ONCE)), []], [], [0, AT_ONCE]),
        (5, [[90], [91]], [], [1, 1]),  # 3 left: none waits behind two others
        (40, [[90], []], [90], [0, AT_ONCE]),  # behind one that has failed there is none
        (3, [[], []], [0], [1, 1]),
        (40, [[90], [91]], [0], [0, 0]),  # nor is one that has failed behind another
    ],
)
def test_each_worker_has_items_to_begin_and_none_waits_while_another_worker_is_free(
    waiting, at_hand, failed, expected, monkeypatch
):
    monkeypatch.setattr(ray_pool, "check_installed", lambda: None)
    pool = RayPool(dict)
    calls = []
    monkeypatch.setattr(pool, "_call", lambda method, member, item: calls.append((member, item)))
    pool._members = [ray_pool._Member(None, started=True, items=list(items)) for items in at_hand]
    pool._members.append(ray_pool._Member(None))  # one that has not started gets none
    pool._waiting = deque(range(waiting))
    pool._attempts.update(failed)

    pool._hand_out()

    given = [[item for to, item in calls if to is member] for member in pool._members]
    assert [len(items) for items in given] == [*expected, 0]
    assert sorted(item for _, item in calls) == list(range(sum(expected))), "each once, the first ones first"
    assert [m.items for m in pool._members[:2]] == [a + g for a, g in zip(at_hand, given, strict=False)]

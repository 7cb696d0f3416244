"""The pool without Ray; test_ray_sets.py has it at work, and loses its workers."""

import importlib.util

import pytest

from synthcl.pipeline.cluster.ray_pool import RayPool
from synthcl.pipeline.errors import UsageError


def test_without_ray_a_sentence_says_what_to_install(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"needs the package ray. Install it: pip install 'synthcl\[ray\]'"):
        RayPool(dict)

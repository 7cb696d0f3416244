"""A generator's fingerprint follows its class, its code and every weight, and nothing else."""

from __future__ import annotations

import sys

import pytest
import torch

from synthcl.generators import GENERATORS, create_trainer, load_generator
from synthcl.generators.fingerprint import config_hash, fingerprint


@pytest.mark.parametrize("kind", sorted(GENERATORS))
def test_the_weights_are_in_it_wherever_they_lie(kind, tmp_path):
    torch.manual_seed(0)
    trainer = create_trainer(kind, 8, preset="tiny")
    trainer.save_pretrained(tmp_path / "a")
    first = load_generator(tmp_path / "a")
    first.save_pretrained(tmp_path / "elsewhere")
    second = load_generator(tmp_path / "elsewhere")
    assert fingerprint(first) == fingerprint(second) == fingerprint(trainer.ema)
    assert first.recipe == second.recipe
    for parameter in second.parameters():
        before = fingerprint(second)
        with torch.no_grad():
            parameter.view(-1)[-1] += 1
        assert fingerprint(second) != before


CODE = """
import torch
from synthcl.generators import Generator
class Mine(Generator):
    differentiable = False
    image_size = 4
    def sample_latents(self, n, *, draws=None, device=None): return draws.normal("z", 3, 4, 4)
    def forward(self, latents): return torch.{function}(latents)
    def save_pretrained(self, directory): pass
    @classmethod
    def from_pretrained(cls, directory): return cls()
"""


def test_the_code_of_a_class_of_the_users_is_in_it(tmp_path, monkeypatch):
    found = []
    for name, function in (("a", "tanh"), ("b", "tanh"), ("c", "sin")):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "my_generator.py").write_text(CODE.format(function=function))
        monkeypatch.chdir(folder)
        found.append(fingerprint(load_generator("my_generator:Mine")))
        del sys.modules["my_generator"]
    assert found[0] == found[1] != found[2]


def test_configurations_count_but_for_paths_and_versions():
    first = config_hash({"a": (1, 2), "_name_or_path": "/here"}, {"b": None})
    assert first == config_hash({"_name_or_path": "/there", "a": (1, 2)}, {"b": None})
    assert first != config_hash({"a": (1, 3)}, {"b": None}) and first != config_hash({"a": (1, 2)}, {"b": 0})

"""Generators of the user's: the documented example, and what a check at loading says of others."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from synthcl.generators import Generator, kind_of, load_generator
from synthcl.generators.custom import check_contract, load_custom
from synthcl.pipeline.randomness import Key

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def example(monkeypatch):
    """Run as if from the examples' folder; leave no module behind."""
    monkeypatch.chdir(EXAMPLES)
    yield "custom_generator:Gratings"
    sys.modules.pop("custom_generator", None)


def test_the_documented_example_loads_saves_and_draws(example, tmp_path):
    assert kind_of(example) == "custom"
    generator = load_generator(example, image_size=16)
    assert sys.path.count(str(EXAMPLES)) == 1 and generator.image_size == 16 and not generator.training
    draws = Key.from_seed(0).at(torch.arange(6))
    latents = generator.sample_latents(6, draws=draws)
    images = generator(latents)
    assert images.shape == (6, 3, 16, 16) and images.abs().max() <= 1 and images.requires_grad
    torch.testing.assert_close(generator(latents[4:]), images[4:])
    assert all((images[0] - other).abs().max() > 0.1 for other in images[1:])

    with torch.no_grad():
        generator.contrast.fill_(0.3)
    generator.save_pretrained(tmp_path / "weights")
    loaded = load_generator(f"{example}:{tmp_path / 'weights'}")
    assert torch.equal(loaded(latents), generator(latents)) and not torch.equal(loaded(latents), images)


def test_an_option_that_the_class_lacks_is_an_error_for_users(example):
    with pytest.raises(ValueError, match=r"custom_generator:Gratings could not be made.*colour"):
        load_generator(example, colour="red")


@pytest.mark.parametrize(
    ("specification", "message"),
    [
        ("no_such_module:Thing", "no module 'no_such_module'"),
        ("collections:NoSuch", r"module collections \(.*collections/__init__.py\) has no NoSuch$"),
        ("collections:OrderedDicts", "has no OrderedDicts; did you mean OrderedDict\\?$"),
        ("sys:NoSuch", r"module sys \(a part of Python\) has no NoSuch$"),
        ("my_own.py:G", "no module .*: a module is named, not its file; give my_own:G$"),
        ("my-own:G", "no module can have a - in its name, so rename my-own; give my_own:G$"),
        ("nets/my-own.py:G:w/", "not its file; no module .* rename my-own; give my_own:G:w/ from the folder nets$"),
        ("collections:OrderedDict", "subclass of synthcl.generators.Generator"),
        ("json:loads", "subclass of synthcl.generators.Generator"),
        ("synthcl.generators.base:Generator", "lacks forward, from_pretrained, image_size, sample_latents"),
        ("nonsense", "not of the form package.module:Class"),
    ],
)
def test_what_cannot_be_a_generator_is_refused(specification, message):
    with pytest.raises(ValueError, match=message):
        load_custom(specification)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("self.scale = self.size", "AttributeError: 'Late' object has no attribute 'size'"),
        ("raise OSError(2, 'No such file', 'weights')", "FileNotFoundError: .*weights"),
    ],
)
def test_a_class_that_fails_when_it_is_made_is_named_with_what_it_raised(folder, body, message):
    lines = [f"from {__name__} import Plain", "class Late(Plain):", "    def __init__(self):"]
    (folder / "late_generator.py").write_text("\n".join([*lines, "        super().__init__()", f"        {body}"]))
    with pytest.raises(ValueError, match=f"late_generator:Late could not be made: {message}"):
        load_custom("late_generator:Late")


def test_weights_that_are_read_and_not_given_back_are_told(folder):
    lines = [f"from {__name__} import Plain", "class Late(Plain):", "    @classmethod"]
    lines += ["    def from_pretrained(cls, directory): cls()"]
    (folder / "late_generator.py").write_text("\n".join(lines))
    with pytest.raises(ValueError, match=r"Late\.from_pretrained must give the generator, not None"):
        load_custom("late_generator:Late:weights/")


def test_a_module_of_python_that_hides_one_here_is_told_from_it(folder):
    (folder / "copy.py").write_text("")
    with pytest.raises(ValueError, match=r"module copy \(.*/copy.py\) has no G; the name of copy.py here is taken"):
        load_custom("copy:G")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty working directory, whose modules are forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    for name in ("late_generator", "generator_neighbour"):
        sys.modules.pop(name, None)


def test_a_class_finds_the_modules_beside_it_after_its_import_too(folder):
    lines = [
        f"from {__name__} import Plain",
        "class Late(Plain):",
        "    def forward(self, latents):",
        "        import generator_neighbour",
        "        return super().forward(latents) * generator_neighbour.SHARE",
    ]
    (folder / "late_generator.py").write_text("\n".join(lines))
    (folder / "generator_neighbour.py").write_text("SHARE = 0.5")
    for _ in range(2):
        assert load_custom("late_generator:Late").image_size == 4
    assert sys.path.count(str(folder)) == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("def (", r"SyntaxError: .*failing_generator.py, line 1"),
        ("from collections import NoSuch", "ImportError: cannot import name 'NoSuch'"),
        ("raise RuntimeError('no licence')", "RuntimeError: no licence"),
    ],
)
def test_a_module_that_fails_is_named_with_what_it_raised(folder, content, message):
    (folder / "failing_generator.py").write_text(content)
    with pytest.raises(ValueError, match=f"failing_generator:Mine could not be imported: {message}"):
        load_custom("failing_generator:Mine")


class Plain(Generator):
    """A generator that is right; the cases below each break one thing."""

    image_size = 4

    def __init__(self) -> None:
        super().__init__()
        self.scale = torch.nn.Parameter(torch.tensor(0.5))

    def sample_latents(self, n, *, draws=None, device=None):
        return torch.randn(n, 3, 4, 4) if draws is None else draws.normal("latents", 3, 4, 4)

    def forward(self, latents):
        return torch.tanh(self.scale * latents)

    def save_pretrained(self, directory):
        torch.save(self.state_dict(), directory)

    @classmethod
    def from_pretrained(cls, directory, **options):
        return cls()


def broken(**members) -> Generator:
    return type("Broken", (Plain,), members)()


CASES = {
    "too few": (
        {"sample_latents": lambda self, n, **_: torch.zeros(1, 3)},
        r"2 latents, not float32 of shape \(1, 3\)",
    ),
    "no tensor": ({"sample_latents": lambda self, n, **_: [1, 2]}, "2 latents, not a list"),
    "a method for a size": (
        {"image_size": lambda self: 4},
        "Broken.image_size must be pixels a side, 1 or more, not a method; write @property above it",
    ),
    "no size": ({"image_size": None}, "Broken.image_size must be pixels a side, 1 or more, not None$"),
    "a size of nothing": ({"image_size": 0}, "Broken.image_size must be pixels a side, 1 or more, not 0$"),
    "a size that fails": (
        {"image_size": property(lambda self: {}["size"])},
        "Broken.image_size failed: KeyError: 'size'; --debug",
    ),
    "latents that fail": (
        {"sample_latents": lambda self, n, **_: torch.arange(0, len)},
        r"Broken.sample_latents failed: TypeError: arange\(\) .* \.\.\.; --debug shows where$",
    ),
    "no images": (
        {"forward": lambda self, z: None},
        r"Broken.forward must give images, a tensor \(N, 3, S, S\), not None$",
    ),
    "a list of images": ({"forward": lambda self, z: list(z)}, "Broken.forward must give images, .*, not a list$"),
    "images that fail": (
        {"forward": lambda self, z: z @ torch.zeros(2, 9)},
        r"Broken.forward failed: RuntimeError: .*; --debug shows where$",
    ),
    "a former name": ({"forward_pair": lambda self, z, strength, draws: (z, z)}, "forward_pair is no longer called"),
    "global randomness": ({"sample_latents": lambda self, n, **_: torch.randn(n, 3, 4, 4)}, "on its draws alone"),
    "neighbours' draws": (
        {"sample_latents": lambda self, n, draws: draws.normal("z", 3, 4, 4) - draws.normal("z", 3, 4, 4).mean()},
        "each latent from its own draws",
    ),
    "shape": (
        {"forward": lambda self, z: torch.tanh(z)[:, :1]},
        r"\(2, 3, 4, 4\).*not float32 of shape \(2, 1, 4, 4\)",
    ),
    "type": ({"forward": lambda self, z: torch.tanh(z).double()}, "not float64"),
    "range": ({"forward": lambda self, z: z * 9}, r"in \[-1, 1\], not from -"),
    "nan": ({"forward": lambda self, z: z * float("nan")}, r"in \[-1, 1\], not from nan"),
    "batch": ({"forward": lambda self, z: torch.tanh(z - z.mean(0))}, "its own latent alone, but differs by"),
    "noise": ({"forward": lambda self, z: torch.tanh(torch.randn_like(z))}, "its own latent alone, but differs by"),
}


@pytest.mark.parametrize("case", CASES)
def test_a_generator_that_breaks_the_contract_is_refused_with_the_reason(case):
    members, message = CASES[case]
    with pytest.raises(ValueError, match=f"Broken.*{message}|{message}"):
        check_contract(broken(**members))


def test_a_generator_that_keeps_the_contract_passes():
    check_contract(Plain())
    assert not Plain.differentiable
    # What classes said, which nothing asks them any more.
    for claim in (True, False, None):
        check_contract(broken(differentiable=claim, forward=lambda self, z: torch.tanh(z)))
    with torch.no_grad():
        check_contract(Plain())

"""What every generator promises, over the registry: a new kind is tested by being registered.

`GENERATORS` are the kinds that learn: their trainers, and the generators that those train. `FROZEN` are the others,
each with sources to try: every class of pipelines in `ADAPTERS`, and the documented example of a class of one's own.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
import torch

from synthcl.generators import GENERATORS, OptionError, create_trainer, kind_of, load_generator, load_trainer
from synthcl.generators.base import Generator, GeneratorTrainer, no_synchronisation
from synthcl.generators.custom import check_contract
from synthcl.generators.fingerprint import fingerprint
from synthcl.generators.pretrained.adapters import ADAPTERS
from synthcl.generators.registry import FROZEN, _load
from synthcl.pipeline.randomness import Key

SIZE, N = 8, 4
EXAMPLES = Path(__file__).parents[2] / "examples"

SOURCES = {"pretrained": sorted(ADAPTERS), "custom": ["custom_generator:Gratings"]}
"""What to try of each kind that does not learn; one without an entry here fails the collection."""

WITHOUT_PAIRS = {"PNDMPipeline"}
"""Its own scheduler's steps cannot be entered part of the way; it says so."""

CASES = [(kind, kind) for kind in sorted(GENERATORS)] + [(kind, name) for kind in FROZEN for name in SOURCES[kind]]


class Case(NamedTuple):
    """A generator to try, and what opens what it saves."""

    name: str
    generator: Generator
    load: Callable[[Path], Generator]


def draws(start: int = 0, n: int = N, name: str = "contract"):
    return Key.from_seed(7).child(name).at(torch.arange(start, start + n))


def train(kind: str) -> GeneratorTrainer:
    """A trainer after two steps, so that no network still stands at its initial zeros."""
    torch.manual_seed(0)
    trainer = create_trainer(kind, SIZE, preset="tiny")
    for step in range(2):
        trainer.step(torch.rand(N, 3, SIZE, SIZE) * 2 - 1, draws(step * N))
    return trainer


@pytest.fixture(scope="module", params=CASES, ids=[name for _, name in CASES])
def case(request, build_pipeline, conditions) -> Case:
    kind, name = request.param
    if kind in GENERATORS:
        return Case(name, train(kind).generator.eval(), load_generator)
    if kind == "pretrained":
        return Case(name, load_pretrained(build_pipeline(name), sampling_steps=6, **conditions(name)), load_generator)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(EXAMPLES)
        generator = load_generator(name, image_size=SIZE)
    request.addfinalizer(lambda: sys.modules.pop(name.partition(":")[0], None))
    return Case(name, generator, lambda folder: load_generator(f"{name}:{folder}"))


def load_pretrained(pipeline, **options) -> Generator:
    from synthcl.generators.pretrained import PretrainedGenerator

    return PretrainedGenerator(pipeline, **options)


class TestEveryGenerator:
    def test_passes_the_check_that_users_generators_pass(self, case):
        check_contract(case.generator)

    def test_images_have_the_shape_and_the_range(self, case):
        generator, latents = case.generator, case.generator.sample_latents(N, draws=draws())
        size = generator.image_size
        with torch.no_grad():
            images = generator(latents)
            extreme = generator(latents * 50) if latents.is_floating_point() else images
        assert isinstance(generator, Generator) and len(latents) == N
        assert images.shape == (N, 3, size, size) and images.dtype == torch.float32
        assert images.abs().max() <= 1 and extreme.abs().max() <= 1
        assert images.std(0).max() > 1e-3, "different latents should give different images"

    def test_a_sample_depends_on_its_draws_alone(self, case):
        generator = case.generator
        with torch.no_grad():
            torch.manual_seed(0)
            together = generator(generator.sample_latents(N, draws=draws()))
            torch.manual_seed(1)
            again = generator(generator.sample_latents(N, draws=draws()))
            alone = torch.cat([generator(generator.sample_latents(1, draws=draws(i, 1))) for i in range(N)])
            others = generator(generator.sample_latents(N, draws=draws(100)))
        assert torch.equal(together, again)
        torch.testing.assert_close(together, alone, rtol=0, atol=5e-4)  # rounding, far below 1/255
        assert not torch.allclose(together, others, atol=1e-3)

    def test_latents_without_draws_come_from_torchs_generator(self, case):
        generator = case.generator
        torch.manual_seed(1)
        first, second = generator.sample_latents(2), generator.sample_latents(2)
        torch.manual_seed(1)
        assert torch.equal(generator.sample_latents(2), first) and not torch.equal(first, second)

    def test_draws_must_be_as_many_as_latents(self, case):
        if case.name in SOURCES["custom"]:
            pytest.skip("a courtesy of this package's own")
        with pytest.raises(ValueError, match=r"3.*4"):
            case.generator.sample_latents(3, draws=draws())

    def test_the_gradient_reaches_the_weights_where_it_claims_one_and_nowhere_else(self, case):
        generator = case.generator
        if case.name in SOURCES["custom"]:  # nothing trains it, so that it claims none
            assert not generator.differentiable
            return
        images = generator(generator.sample_latents(N, draws=draws()))
        assert images.requires_grad == generator.differentiable
        if not generator.differentiable:
            return
        generator.zero_grad()
        images.square().mean().backward()
        gradients = [p.grad for p in generator.parameters() if p.requires_grad]
        assert gradients and all(g is not None and g.isfinite().all() for g in gradients)
        assert any(g.abs().max() > 0 for g in gradients)
        generator.zero_grad()

    def test_saved_and_loaded_is_the_same_generator(self, case, tmp_path):
        generator, folder = case.generator, tmp_path / "g"
        generator.save_pretrained(folder)
        loaded = case.load(folder)
        assert type(loaded) is type(generator) and not loaded.training
        assert list(folder.rglob("*.safetensors")) and not [*folder.rglob("*.bin"), *folder.rglob("*.pt")]
        assert loaded.recipe == generator.recipe and fingerprint(loaded) == fingerprint(generator)
        latents = generator.sample_latents(N, draws=draws())
        with torch.no_grad():
            torch.testing.assert_close(loaded(latents), generator(latents), rtol=0, atol=1e-6)

    def test_its_recipe_is_of_plain_values(self, case):
        recipe = case.generator.recipe
        assert json.loads(json.dumps(recipe, allow_nan=False)) == recipe


class TestEveryPair:
    @pytest.fixture
    def latents(self, case):
        if case.name in WITHOUT_PAIRS:
            pytest.skip("without pairs")
        return case.generator.sample_latents(N, draws=draws())

    @torch.no_grad()
    def test_is_the_image_and_another_that_is_near_it_where_it_is_weak(self, case, latents):
        distances = []
        for strength in (0.1, 0.6, 1.0):
            images, partners = case.generator.forward_group(latents, 2, strength, draws())
            case.generator.check_group(strength)
            torch.testing.assert_close(images, case.generator(latents), rtol=0, atol=1e-6)
            assert partners.shape == images.shape and partners.dtype == torch.float32 and partners.abs().max() <= 1
            distances.append((images - partners).square().mean().item())
        # Whether 0.6 is nearer than 1 is up to what a network has learned.
        assert 0 < distances[0] < min(distances[1:])

    @torch.no_grad()
    def test_of_a_larger_group_is_the_beginning(self, case, latents):
        group = case.generator.forward_group(latents, 4, 0.6, draws())
        assert len(group) == 4 and not torch.equal(group[2], group[3])
        for one, other in zip(group, case.generator.forward_group(latents, 2, 0.6, draws()), strict=False):
            torch.testing.assert_close(one, other, rtol=0, atol=1e-6)
        for given in (None, group[0]):
            found = case.generator.neighbours(latents, 3, 0.6, draws(), images=given)
            for one, other in zip(found, group[1:], strict=True):
                torch.testing.assert_close(one, other, rtol=0, atol=1e-6)

    @torch.no_grad()
    def test_depends_on_its_own_draws_alone(self, case, latents):
        torch.manual_seed(0)
        _, partners = case.generator.forward_group(latents, 2, 0.6, draws())
        torch.manual_seed(1)
        _, alone = case.generator.forward_group(latents[1:], 2, 0.6, draws()[1:])
        torch.testing.assert_close(alone, partners[1:], rtol=0, atol=1e-3)
        _, others = case.generator.forward_group(latents, 2, 0.6, draws(100))
        assert (others - partners).abs().max() > 1e-3

    @pytest.mark.parametrize("strength", [0.0, 1.5, float("nan")])
    def test_of_a_strength_out_of_range_is_refused(self, case, latents, strength):
        for attempt in (case.generator.check_group, lambda s: case.generator.forward_group(latents, 2, s, draws())):
            with pytest.raises(OptionError, match=f"at most 1, not {strength}"):
                attempt(strength)

    @torch.no_grad()
    def test_without_strength_shares_the_condition_and_nothing_else(self, case, latents):
        described = case.generator.describe(latents)
        assert all(len(values) == N for values in described.values())
        if not described:
            for attempt in (
                lambda: case.generator.check_group(None),
                lambda: case.generator.forward_group(latents, 2, None, draws()),
            ):
                with pytest.raises(OptionError, match="no classes and no prompts to group images by"):
                    attempt()
            return
        images, others = case.generator.forward_group(latents, 2, None, draws())
        assert (images - others).square().mean() > 1e-3
        _, again = case.generator.forward_group(latents[1:], 2, None, draws()[1:])
        torch.testing.assert_close(again, others[1:], rtol=0, atol=1e-3)

    @torch.no_grad()
    def test_variations_of_images_from_elsewhere_depend_on_their_own_draws_alone(self, case, latents):
        size = case.generator.image_size
        images = torch.rand(N, 3, size, size, generator=torch.Generator().manual_seed(3)) * 2 - 1
        try:
            case.generator.check_variations(0.5)
        except OptionError as error:
            assert "no way from an image to a latent" in str(error)
            with pytest.raises(OptionError, match="no way from an image to a latent"):
                case.generator.vary(images, latents, 1, 0.5, draws())
            return
        group = case.generator.vary(images, latents, 2, 0.3, draws())
        assert len(group) == 2 and group[0].shape == images.shape and group[0].abs().max() <= 1
        assert not torch.allclose(group[0], group[1], atol=1e-3)
        alone = case.generator.vary(images[1:], latents[1:], 1, 0.3, draws()[1:])
        torch.testing.assert_close(alone[0], group[0][1:], rtol=0, atol=1e-3)
        weak, strong = (case.generator.vary(images, latents, 1, s, draws())[0] for s in (0.1, 1.0))
        assert torch.isfinite(weak).all() and (weak - strong).abs().max() > 1e-3

    def test_is_refused_with_the_reason_where_there_are_none(self, build_pipeline):
        for name in WITHOUT_PAIRS:
            generator = load_pretrained(build_pipeline(name), sampling_steps=5)
            with pytest.raises(OptionError, match=r"pairs need .* choose sampling_steps, or sampler dpm or ddim"):
                generator.check_group(0.5)


@pytest.fixture(scope="module", params=sorted(GENERATORS))
def trained(request) -> GeneratorTrainer:
    return train(request.param)


class TestEveryTrainer:
    def test_trains_a_generator_and_its_average(self, trained):
        assert isinstance(trained, GeneratorTrainer)
        assert isinstance(trained.generator, Generator) and isinstance(trained.ema, Generator)
        assert trained.generator.differentiable
        modules = trained.modules()
        assert modules["generator"] is trained.generator and modules["ema"] is trained.ema

    def test_the_average_takes_no_gradient(self, trained):
        images = trained.ema(trained.ema.sample_latents(1, draws=draws(n=1)))
        assert not images.requires_grad

    def test_the_average_is_what_is_saved(self, trained, tmp_path):
        trained.save_pretrained(tmp_path / "g")
        loaded = load_generator(tmp_path / "g")
        assert type(loaded) is type(trained.ema) and kind_of(tmp_path / "g") in GENERATORS
        latents = trained.ema.sample_latents(N, draws=draws())
        with torch.no_grad():
            torch.testing.assert_close(loaded(latents), trained.ema(latents), rtol=0, atol=1e-6)
            assert not torch.allclose(loaded(latents), trained.generator(latents), rtol=0, atol=1e-6)

    def test_joint_training_takes_up_what_was_saved(self, trained, tmp_path):
        trained.save_pretrained(tmp_path / "g")
        taken = load_trainer(tmp_path / "g")
        latents = trained.ema.sample_latents(N, draws=draws())
        # A kind that saves its average alone starts G from it.
        start = trained.generator if (tmp_path / "g" / "training").is_dir() else trained.ema
        with torch.no_grad():
            for model, saved in ((taken.generator, start), (taken.ema, trained.ema)):
                torch.testing.assert_close(model(latents), saved(latents), rtol=0, atol=1e-6)
        assert not [f for f in (tmp_path / "g").rglob("*.*") if f.suffix not in (".json", ".safetensors")]

    def test_takes_the_options_that_every_kind_has(self, trained, tmp_path):
        given = {"learning_rate": 1e-4, "decay": 0.5, "ema_decay": 0.5, "precision": "bf16"}
        others = {"total_steps": 4, "device": "cpu", "synchronise": no_synchronisation}
        trained.save_pretrained(tmp_path / "g")
        kind = kind_of(tmp_path / "g")
        for made in (
            create_trainer(kind, SIZE, preset="tiny", **given, **others),
            load_trainer(tmp_path / "g", **given, **others),
        ):
            assert made.options.items() >= {"decay": 0.5, "ema_decay": 0.5}.items()
            assert made.generator.computes_in == made.ema.computes_in == "bf16"
            assert {value for name, value in made.options.items() if name.endswith("learning_rate")} == {1e-4}
            assert json.loads(json.dumps(made.options, allow_nan=False)) == made.options

    def test_a_precision_that_none_is_trained_in_is_refused(self, trained):
        kind = next(name for name in GENERATORS if isinstance(trained, _load(GENERATORS[name].trainer)))
        with pytest.raises(OptionError, match="precision fp16"):
            create_trainer(kind, SIZE, preset="tiny", precision="fp16")

    @pytest.mark.parametrize("decay", [0.0, 1.0])
    def test_learning_rates_fall_to_nothing_over_the_last_part(self, trained, tmp_path, decay):
        trained.save_pretrained(tmp_path / "g")
        taken = load_trainer(tmp_path / "g", total_steps=1, decay=decay)
        moved = []
        for step in range(2):  # the second is past the end
            before = [p.detach().clone() for p in taken.generator.parameters()]
            taken.step(torch.rand(N, 3, SIZE, SIZE) * 2 - 1, draws(step * N))
            moved.append(any(not torch.equal(b, p) for b, p in zip(before, taken.generator.parameters(), strict=True)))
        assert moved == [True, decay == 0]

    def test_the_decay_of_the_average_may_be_changed_between_steps(self, trained, tmp_path):
        trained.save_pretrained(tmp_path / "g")
        taken = load_trainer(tmp_path / "g", ema_decay=0.9, learning_rate=1e-2)
        assert taken.ema_decay == 0.9
        apart = []
        for decay in (0.0, 0.999):
            taken.ema_decay = decay
            taken.step(torch.rand(N, 3, SIZE, SIZE) * 2 - 1, draws())
            pairs = zip(taken.ema.parameters(), taken.generator.parameters(), strict=True)
            apart.append(max((a - b).abs().max().item() for a, b in pairs))
        assert apart[0] < 1e-6 and apart[1] > 1e-5

    def test_resumed_equals_uninterrupted_bit_for_bit(self, trained, tmp_path):
        kind = next(name for name in GENERATORS if isinstance(trained, _load(GENERATORS[name].trainer)))
        real = Key.from_seed(1).at(torch.arange(N)).uniform("real", 3, SIZE, SIZE) * 2 - 1

        def build(seed: int) -> GeneratorTrainer:
            torch.manual_seed(seed)
            return create_trainer(kind, SIZE, preset="tiny")

        straight = build(0)
        for step in range(4):
            if step == 2:
                torch.save(straight.state_dict(), tmp_path / "state.pt")
            straight.step(real, draws(step * N))
        resumed = build(1)
        resumed.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
        torch.manual_seed(99)  # no step may depend on the global generator
        for step in range(2, 4):
            resumed.step(real, draws(step * N))
        for name, model in straight.modules().items():
            for key, value in model.state_dict().items():
                assert torch.equal(value, resumed.modules()[name].state_dict()[key]), f"{name}.{key}"


class Tanh(Generator):
    """A generator that is only what the contract asks for."""

    image_size = 2

    def sample_latents(self, n, *, draws=None, device=None):
        return draws.normal("latents", 3, 2, 2)

    def forward(self, latents):
        return torch.tanh(latents)

    def save_pretrained(self, directory): ...

    @classmethod
    def from_pretrained(cls, directory): ...


class TestWhatAGeneratorInherits:
    @pytest.mark.parametrize("strength", [0.2, 1.0])
    def test_the_partners_latent_is_normal_noise_put_into_the_latent(self, strength):
        generator, latents = Tanh(), draws().normal("latents", 3, 2, 2)
        images, partners = generator.forward_group(latents, 2, strength, draws())
        noise = draws().normal("pair", 3, 2, 2)
        assert torch.equal(images, torch.tanh(latents))
        torch.testing.assert_close(partners, torch.tanh((1 - strength**2) ** 0.5 * latents + strength * noise))

    def test_without_a_recipe_of_its_own_weights_and_latent_are_all(self):
        assert Tanh().recipe == {}

    def test_a_class_that_lacks_a_part_cannot_be_made(self):
        with pytest.raises(TypeError, match="sample_latents"):
            type("Half", (Tanh,), {"sample_latents": Generator.sample_latents})()

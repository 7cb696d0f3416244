"""What every kind of generator promises, over the registry: a new kind is tested by being registered."""

import pytest
import torch

from synthcl.generators import GENERATORS, create_trainer, kind_of, load_generator, load_trainer
from synthcl.generators.base import Generator, GeneratorTrainer
from synthcl.pipeline.randomness import Key

SIZE, N = 8, 4


def draws(start: int = 0, n: int = N, name: str = "contract"):
    return Key.from_seed(7).child(name).at(torch.arange(start, start + n))


@pytest.fixture(scope="module", params=sorted(GENERATORS))
def trained(request) -> GeneratorTrainer:
    """A trainer after two steps, so that no network still stands at its initial zeros."""
    torch.manual_seed(0)
    trainer = create_trainer(request.param, SIZE, preset="tiny")
    for step in range(2):
        trainer.step(torch.rand(N, 3, SIZE, SIZE) * 2 - 1, draws(step * N))
    return trainer


def test_a_kind_has_a_trainer_and_a_generator_of_the_contract(trained):
    assert isinstance(trained, GeneratorTrainer)
    assert isinstance(trained.generator, Generator) and isinstance(trained.ema, Generator)
    modules = trained.modules()
    assert modules["generator"] is trained.generator and modules["ema"] is trained.ema


def test_images_have_the_shape_and_the_range(trained):
    generator = trained.ema
    latents = generator.sample_latents(N, draws=draws())
    with torch.no_grad():
        images = generator(latents)
        extreme = generator(latents * 50)
    assert len(latents) == N and images.shape == (N, 3, SIZE, SIZE) and images.dtype == torch.float32
    assert generator.image_size == SIZE
    assert images.abs().max() <= 1 and extreme.abs().max() <= 1
    assert images.std(0).max() > 1e-3, "different latents should give different images"


def test_a_sample_depends_on_its_draws_alone(trained):
    generator = trained.ema
    with torch.no_grad():
        together = generator(generator.sample_latents(N, draws=draws()))
        again = generator(generator.sample_latents(N, draws=draws()))
        alone = torch.cat([generator(generator.sample_latents(1, draws=draws(i, 1))) for i in range(N)])
        others = generator(generator.sample_latents(N, draws=draws(100)))
    assert torch.equal(together, again)
    torch.testing.assert_close(together, alone, rtol=0, atol=2e-4)  # rounding, far below 1/255
    assert not torch.allclose(together, others, atol=1e-3)


def test_latents_without_draws_come_from_torchs_generator(trained):
    generator = trained.ema
    torch.manual_seed(1)
    first, second = generator.sample_latents(2), generator.sample_latents(2)
    torch.manual_seed(1)
    assert torch.equal(generator.sample_latents(2), first) and not torch.equal(first, second)


def test_draws_must_be_as_many_as_latents(trained):
    with pytest.raises(ValueError, match=r"3.*4"):
        trained.ema.sample_latents(3, draws=draws())


def test_the_gradient_reaches_the_weights(trained):
    generator = trained.generator
    if not generator.differentiable:
        pytest.skip("this kind makes no claim to a gradient")
    generator.zero_grad()
    generator(generator.sample_latents(N, draws=draws())).square().mean().backward()
    gradients = [p.grad for p in generator.parameters() if p.requires_grad]
    assert gradients and all(g is not None and g.isfinite().all() for g in gradients)
    assert any(g.abs().max() > 0 for g in gradients)
    generator.zero_grad()


def test_the_average_takes_no_gradient(trained):
    images = trained.ema(trained.ema.sample_latents(1, draws=draws(n=1)))
    assert not images.requires_grad


def test_saved_and_loaded_gives_the_same_images(trained, tmp_path):
    trained.save_pretrained(tmp_path / "g")
    loaded = load_generator(tmp_path / "g")
    assert type(loaded) is type(trained.ema) and not loaded.training
    assert list((tmp_path / "g").rglob("*.safetensors"))
    latents = trained.ema.sample_latents(N, draws=draws())
    with torch.no_grad():
        torch.testing.assert_close(loaded(latents), trained.ema(latents), rtol=0, atol=1e-6)


def test_joint_training_takes_up_what_was_saved(trained, tmp_path):
    trained.save_pretrained(tmp_path / "g")
    taken = load_trainer(tmp_path / "g")
    assert kind_of(tmp_path / "g") in GENERATORS
    latents = trained.ema.sample_latents(N, draws=draws())
    with torch.no_grad():
        for model in (taken.generator, taken.ema):
            torch.testing.assert_close(model(latents), trained.ema(latents), rtol=0, atol=1e-6)


def test_resumed_equals_uninterrupted_bit_for_bit(trained, tmp_path):
    kind = next(name for name in GENERATORS if isinstance(trained, _trainer_class(name)))
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


def _trainer_class(kind: str) -> type:
    from synthcl.generators.registry import _load

    return _load(GENERATORS[kind].trainer)

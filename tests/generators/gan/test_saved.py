"""What joint training takes up: a trainer saved and loaded goes on as the one that was never saved, bit for bit."""

import json
import logging
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from synthcl.generators import OptionError, load_generator, load_trainer
from synthcl.generators.gan import GANDiscriminator, GANGenerator, GANTrainer
from synthcl.pipeline.randomness import Key

SIZE, N = 8, 6
CHANGING = {
    "gamma": 0.4, "final_gamma": 0.1, "beta1": 0.2, "beta2": 0.9, "final_beta2": 0.98, "penalty_every": 3,
    "augment": "colour,cutout", "generator_learning_rate": 1e-3, "discriminator_learning_rate": 2e-3,
}  # fmt: skip


def build(**options) -> GANTrainer:
    torch.manual_seed(0)
    generator = GANGenerator(image_size=SIZE, widths=[8, 8])
    return GANTrainer(generator, GANDiscriminator(image_size=SIZE, widths=[16, 8]), ema_warmup=False, **options)


def go_on(trainer: GANTrainer, steps: range) -> GANTrainer:
    for step in steps:
        key = Key.from_seed(3).child(step)
        real = key.child("real").at(torch.arange(N)).uniform("real", 3, SIZE, SIZE) * 2 - 1
        trainer.step(real, key.at(torch.arange(N)))
    return trainer


@pytest.fixture
def folder(tmp_path):
    """A trainer after 5 steps of 5, saved."""
    go_on(build(total_steps=5, **CHANGING), range(5)).save_pretrained(tmp_path / "gan")
    return tmp_path / "gan"


def assert_equal(one: GANTrainer, other: GANTrainer) -> None:
    for name, model in one.modules().items():
        for key, value in model.state_dict().items():
            assert torch.equal(value, other.modules()[name].state_dict()[key]), f"{name}.{key}"
    for name, optimizer in one.optimizers.items():
        state = optimizer.state_dict()["state"]
        others = other.optimizers[name].state_dict()["state"]
        assert state.keys() == others.keys()
        for index, entries in state.items():
            assert all(torch.equal(value, others[index][entry]) for entry, value in entries.items()), (name, index)


def test_it_goes_on_as_if_it_had_never_been_saved(folder):
    straight = go_on(build(total_steps=5, **CHANGING), range(5))
    taken = GANTrainer.from_pretrained(folder)
    assert_equal(straight, taken)
    assert taken.discriminator.config.widths == [16, 8]
    for step in range(5, 9):
        go_on(straight, range(step, step + 1))
        go_on(taken, range(step, step + 1))
        assert_equal(straight, taken)


def test_a_trainer_that_was_taken_up_is_saved_like_any_other(folder, tmp_path):
    straight = go_on(build(total_steps=5, **CHANGING), range(9))
    go_on(GANTrainer.from_pretrained(folder), range(5, 7)).save_pretrained(tmp_path / "again")
    assert_equal(straight, go_on(GANTrainer.from_pretrained(tmp_path / "again"), range(7, 9)))


def test_the_options_go_on_from_what_they_had_come_to(folder):
    expected = {
        **CHANGING, "gamma": 0.1, "final_gamma": None, "beta2": 0.98, "final_beta2": None, "decay": 0.0,
        "ema_decay": 0.999,
    }  # fmt: skip
    taken = GANTrainer.from_pretrained(folder)
    assert taken.options == expected and taken.num_steps == 0 and not taken.average.warmup
    half_way = go_on(build(total_steps=4, **CHANGING), range(2))
    half_way.save_pretrained(folder)
    assert GANTrainer.from_pretrained(folder).gamma == pytest.approx(0.2)


def test_the_learning_rates_are_those_before_their_decay(tmp_path):
    trainer = go_on(build(total_steps=2, decay=1.0, learning_rate=3e-3), range(3))
    assert trainer.optimizers["generator"].param_groups[0]["lr"] == 0
    trainer.save_pretrained(tmp_path)
    taken = go_on(GANTrainer.from_pretrained(tmp_path), range(3, 4))
    assert all(optimizer.param_groups[0]["lr"] == 3e-3 for optimizer in taken.optimizers.values())


def test_options_given_override_those_saved(folder):
    given = {"gamma": 0.7, "augment": "none", "penalty_every": 1, "ema_decay": 0.9, "learning_rate": 5e-4}
    options = load_trainer(folder, **given).options
    rates = {name: options.pop(name) for name in ("generator_learning_rate", "discriminator_learning_rate")}
    assert {name: options[name] for name in given if name in options} | {"learning_rate": 5e-4} == given
    assert set(rates.values()) == {5e-4} and options["beta2"] == 0.98
    again = load_trainer(folder, total_steps=10, decay=0.5, final_gamma=0.01)
    assert again.total_steps == 10 and again.decay == 0.5 and again.options["final_gamma"] == 0.01


def test_the_folder_still_opens_as_the_average(folder):
    trainer = go_on(build(total_steps=5, **CHANGING), range(5))
    for path, model in ((folder, trainer.ema), (folder / "training" / "generator", trainer.generator)):
        opened = load_generator(path).state_dict()
        assert all(torch.equal(value, opened[name]) for name, value in model.state_dict().items())
    assert not [path for path in folder.rglob("*") if path.suffix not in ("", ".json", ".safetensors")]


def test_a_trainer_without_a_step_can_be_saved(tmp_path):
    build().save_pretrained(tmp_path)
    assert_equal(go_on(build(), range(2)), go_on(GANTrainer.from_pretrained(tmp_path), range(2)))


def test_a_folder_of_the_earlier_format_starts_afresh_with_a_sentence(folder, caplog):
    shutil.rmtree(folder / "training")
    with caplog.at_level(logging.WARNING, logger="synthcl.generators.gan.saved"):
        taken = GANTrainer.from_pretrained(folder)
    assert f"{folder} has no training folder" in caplog.text and "starts from its average" in caplog.text
    assert "discriminator" not in caplog.text
    trainer = go_on(build(total_steps=5, **CHANGING), range(5))
    for model, saved in ((taken.generator, trainer.ema), (taken.ema, trainer.ema)):
        assert all(torch.equal(value, model.state_dict()[name]) for name, value in saved.state_dict().items())
    assert torch.equal(taken.discriminator.head.weight, trainer.discriminator.head.weight)
    assert not any(optimizer.state for optimizer in taken.optimizers.values()) and taken.options["gamma"] == 0.2
    go_on(taken, range(1))


def test_without_a_discriminator_the_rest_is_taken_up(folder, caplog):
    shutil.rmtree(folder / "discriminator")
    with caplog.at_level(logging.WARNING, logger="synthcl.generators.gan.saved"):
        taken = GANTrainer.from_pretrained(folder)
    assert "the discriminator starts afresh" in caplog.text and "training" not in caplog.text.replace(str(folder), "")
    assert taken.optimizers["generator"].state and not taken.optimizers["discriminator"].state
    go_on(taken, range(1))


def test_a_plain_generator_goes_on_too_and_without_its_discriminator_has_one_about_as_large(tmp_path):
    torch.manual_seed(0)
    straight = go_on(GANTrainer.create(SIZE, preset="plain", ema_warmup=False), range(5))
    straight.save_pretrained(tmp_path)
    taken = GANTrainer.from_pretrained(tmp_path)
    assert_equal(go_on(straight, range(5, 7)), go_on(taken, range(5, 7)))
    shutil.rmtree(tmp_path / "discriminator")
    alone = GANTrainer.from_pretrained(tmp_path)
    assert alone.discriminator.config.widths == [48, 24] and alone.discriminator.config.blocks_per_stage == [1, 0]
    go_on(alone, range(1))


def edited(**changes):
    def edit(training):
        file = training / "trainer.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | changes))

    return edit


def without_a_moment(training):
    tensors = load_file(training / "optimizers.safetensors")
    del tensors["generator/stem.weight/exp_avg"]
    save_file(tensors, training / "optimizers.safetensors")


def with_a_moment_of_another_shape(training):
    tensors = load_file(training / "optimizers.safetensors")
    tensors["discriminator/head.weight/exp_avg_sq"] = torch.zeros(3)
    save_file(tensors, training / "optimizers.safetensors")


def of_another_generator(training):
    GANGenerator(image_size=SIZE, widths=[8, 4]).save_pretrained(training / "generator")


DAMAGES = {
    "no options": (lambda training: (training / "trainer.json").unlink(), "trainer.json"),
    "options that are no JSON": (lambda training: (training / "trainer.json").write_text("{"), "cannot be opened"),
    "another format": (edited(format="x"), "format 'x'"),
    "an option too many": (edited(options={"gama": 1}), "gama"),
    "a gamma that is no number": (edited(reached={"gamma": "high", "beta2": 0.9}), "gamma is 'high'"),
    "a count that is no number": (edited(num_steps="all"), "num_steps is 'all'"),
    "no optimizers": (lambda training: (training / "optimizers.safetensors").unlink(), "optimizers"),
    "a damaged file": (lambda training: (training / "optimizers.safetensors").write_bytes(b"x" * 20), "is damaged"),
    "no moment": (without_a_moment, r"lacks generator/stem\.weight/exp_avg"),
    "a moment of another shape": (with_a_moment_of_another_shape, r"exp_avg_sq is of shape \(3,\)"),
    "another generator": (of_another_generator, "not of the shape of its average"),
    "no generator": (lambda training: shutil.rmtree(training / "generator"), "cannot be opened"),
}


@pytest.mark.parametrize(("damage", "message"), DAMAGES.values(), ids=DAMAGES.keys())
def test_a_damaged_folder_is_named(folder, damage, message):
    damage(folder / "training")
    with pytest.raises(ValueError, match=message) as error:
        load_trainer(folder)
    assert str(folder) in str(error.value) and not isinstance(error.value, OptionError)

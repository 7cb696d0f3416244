"""One step of the GAN's trainer: what it updates, what a hard gradient may do, and averaging over processes."""

import copy
import logging
import math
import threading
from typing import ClassVar

import pytest
import torch
from torch import nn

from synthcl.generators.gan import GANDiscriminator, GANGenerator, GANTrainer
from synthcl.generators.gan.diffaugment import NUM_PARAMETERS, diffaugment
from synthcl.pipeline.randomness import Key

SIZE, N = 8, 6


def build(**options) -> GANTrainer:
    torch.manual_seed(0)
    shape = {"image_size": SIZE, "widths": [8, 8]}
    return GANTrainer(GANGenerator(**shape), GANDiscriminator(**shape), **{"learning_rate": 1e-3, **options})


def draws(step: int = 0, n: int = N):
    return Key.from_seed(3).child("step", step).at(torch.arange(n))


def real_images(n: int = N) -> torch.Tensor:
    return Key.from_seed(4).at(torch.arange(n)).uniform("real", 3, SIZE, SIZE) * 2 - 1


def weights(trainer: GANTrainer) -> dict[str, torch.Tensor]:
    return {
        f"{name}.{key}": value.clone()
        for name, model in trainer.modules().items()
        for key, value in model.state_dict().items()
    }


def joint_step(trainer: GANTrainer, hard: torch.Tensor | None, step: int = 0, **bound) -> dict[str, torch.Tensor]:
    latents = trainer.generator.sample_latents(N, draws=draws(step))
    images = trainer.generator(latents)
    return trainer.step(real_images(), draws(step), images=images, hard_gradient=hard, **bound)


def test_a_step_equals_one_written_out_plainly():
    trainer = build(gamma=0.7, ema_decay=0.9, augment="colour,translation,cutout")
    g, d, ema = (copy.deepcopy(trainer.modules()[name]) for name in ("generator", "discriminator", "ema"))
    adam_g, adam_d = (torch.optim.Adam(m.parameters(), lr=1e-3, betas=(0.0, 0.99)) for m in (g, d))
    for step in range(3):
        uniform = draws(step).uniform("diffaugment", 4, NUM_PARAMETERS)
        fake = g(draws(step).normal("latents", 64))
        x = diffaugment(real_images(), uniform[:, 0]).requires_grad_()
        y = diffaugment(fake.detach(), uniform[:, 1]).requires_grad_()
        penalty = sum(
            torch.autograd.grad(d(seen).sum(), seen, create_graph=True)[0].square().sum() / N for seen in (x, y)
        )
        adam_d.zero_grad()
        (nn.functional.softplus(d(y) - d(x)).mean() + 0.7 / 2 * penalty).backward()
        adam_d.step()
        adam_g.zero_grad()
        logits = d(diffaugment(fake, uniform[:, 3])) - d(diffaugment(real_images(), uniform[:, 2])).detach()
        nn.functional.softplus(-logits).mean().backward()
        adam_g.step()
        decay = min(0.9, (2 + step) / (11 + step))
        for average, weight in zip(ema.parameters(), g.parameters(), strict=True):
            average.data = decay * average + (1 - decay) * weight.data
        trainer.step(real_images(), draws(step))
    for name, plain in (("generator", g), ("discriminator", d), ("ema", ema)):
        for key, value in plain.state_dict().items():
            torch.testing.assert_close(trainer.modules()[name].state_dict()[key], value, rtol=1e-3, atol=1e-4)


def test_penalties_may_be_computed_now_and_then_with_as_much_more_weight():
    always, sometimes = build(gamma=0.8), build(gamma=0.2, penalty_every=4)
    state = sometimes.state_dict() | {"num_steps": 3}  # the fourth step is the one that penalises
    sometimes.load_state_dict(state)
    assert "penalty_real" in sometimes.step(real_images(), draws())
    always.step(real_images(), draws())
    names = [name for name in weights(always) if name.startswith("discriminator")]
    assert all(torch.equal(weights(always)[name], weights(sometimes)[name]) for name in names)
    assert "penalty_real" not in sometimes.step(real_images(), draws(1))
    with pytest.raises(ValueError, match="not 0"):
        build(penalty_every=0)


def test_metrics_are_detached_finite_scalars():
    metrics = joint_step(build(), torch.randn(N, 3, SIZE, SIZE))
    names = {"loss_discriminator", "loss_generator", "penalty_real", "penalty_fake", "margin", "hard_ratio"}
    assert names <= set(metrics)
    for name, value in metrics.items():
        assert value.shape == () and not value.requires_grad and math.isfinite(value), name


def test_images_of_the_caller_equal_those_the_trainer_draws():
    alone, joint = build(), build()
    for step in range(2):
        alone.step(real_images(), draws(step))
        joint_step(joint, None, step)
    assert all(torch.equal(value, weights(joint)[name]) for name, value in weights(alone).items())


@pytest.mark.parametrize("bound_on", ["images", "parameters"])
def test_a_hard_gradient_of_zeros_changes_nothing_bit_for_bit(bound_on):
    plain, joint = build(), build()
    for step in range(3):
        joint_step(plain, None, step)
        metrics = joint_step(joint, torch.zeros(N, 3, SIZE, SIZE), step, bound_on=bound_on)
    assert all(torch.equal(value, weights(joint)[name]) for name, value in weights(plain).items())
    assert metrics["hard_ratio"] == 0 and metrics["hard_clipped"] == 0


@pytest.mark.parametrize("bound_on", ["images", "parameters"])
def test_a_bound_of_zero_is_a_plain_step(bound_on):
    plain, joint = build(), build()
    joint_step(plain, None)
    joint_step(joint, torch.randn(N, 3, SIZE, SIZE), hard_bound=0.0, bound_on=bound_on)
    assert all(torch.equal(value, weights(joint)[name]) for name, value in weights(plain).items())


def test_images_move_against_the_hard_gradient():
    hard = torch.tensor([1e3, -1e3, 5e2])[None, :, None, None].expand(N, -1, SIZE, SIZE)  # less red, more green
    plain, joint = build(), build()
    latents = plain.generator.sample_latents(N, draws=draws())
    for step in range(5):
        joint_step(plain, None, step)
        joint_step(joint, hard, step, hard_bound=100.0)
    with torch.no_grad():
        moved = joint.generator(latents) - plain.generator(latents)
    assert torch.cosine_similarity(moved.flatten(), -hard.flatten(), dim=0) > 0.5


def test_the_hard_gradient_leaves_the_discriminator_as_a_plain_step_would():
    plain, joint = build(), build()
    joint_step(plain, None)
    joint_step(joint, torch.randn(N, 3, SIZE, SIZE))
    before, after = weights(plain), weights(joint)
    assert all(torch.equal(before[name], after[name]) for name in before if name.startswith("discriminator"))
    assert any(not torch.equal(before[name], after[name]) for name in before if name.startswith("generator"))


class Processes:
    """Two trainers in two threads whose gradients are averaged, as two processes would."""

    def __init__(self) -> None:
        self.barrier, self.slots = threading.Barrier(2, timeout=30), [None, None]

    def synchronise(self, rank: int):
        def average(parameters) -> None:
            parameters = list(parameters)
            self.slots[rank] = [p.grad.clone() for p in parameters]
            self.barrier.wait()
            for parameter, *gradients in zip(parameters, *self.slots, strict=True):
                parameter.grad.copy_((gradients[0] + gradients[1]) / 2)
            self.barrier.wait()

        return average


@pytest.mark.parametrize("bound_on", ["images", "parameters"])
def test_two_processes_step_like_one_on_the_whole_batch(bound_on):
    group, whole = Processes(), build()
    ranks = [build(synchronise=group.synchronise(rank)) for rank in range(2)]
    hard = torch.randn(N, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(1)) * 1e-2

    def step(trainer: GANTrainer, part: slice, hard_scale: float, number: int) -> None:
        mine = draws(number)[part]
        images = trainer.generator(trainer.generator.sample_latents(len(mine), draws=mine))
        # A mean over the samples of this process weighs each of them by the number of processes more.
        trainer.step(real_images()[part], mine, images=images, hard_gradient=hard[part] * hard_scale, bound_on=bound_on)

    halves = [slice(0, N // 2), slice(N // 2, N)]
    for number in range(2):
        threads = [threading.Thread(target=step, args=(ranks[i], halves[i], 2.0, number)) for i in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        step(whole, slice(0, N), 1.0, number)
    first, second, one = weights(ranks[0]), weights(ranks[1]), weights(whole)
    for name, value in one.items():
        assert torch.equal(first[name], second[name]), name
        torch.testing.assert_close(first[name], value, rtol=1e-3, atol=2e-4, msg=name)


def test_the_callers_autocast_does_not_reach_a_step():
    plain, inside = build(), build()
    plain.step(real_images(), draws())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside.step(real_images(), draws())
    assert all(torch.equal(value, weights(inside)[name]) for name, value in weights(plain).items())


def test_forward_passes_alone_are_in_bf16():
    """What the networks leave in float32 stays so in the backward pass, and in that of the penalties."""
    trainer, forward, backward = build(precision="bf16"), [], []

    def cast() -> bool:
        return torch.is_autocast_enabled("cpu")

    for network in (trainer.generator, trainer.discriminator):
        network.stages.register_forward_hook(lambda *_: forward.append(cast()))
        for parameter in network.parameters():
            parameter.register_hook(lambda _: backward.append(cast()))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        metrics = trainer.step(real_images(), draws())
    assert "penalty_real" in metrics
    assert all(forward) and backward and not any(backward)


def test_bf16_is_near_fp32_and_sees_the_discriminators_new_weights():
    full, half = build(), build(precision="bf16")
    for step in range(2):
        metrics = [trainer.step(real_images(), draws(step)) for trainer in (full, half)]
    for name in ("loss_discriminator", "loss_generator", "penalty_real"):
        assert metrics[1][name].item() == pytest.approx(metrics[0][name].item(), rel=0.1), name
    assert all(value.dtype == torch.float32 for value in weights(half).values())


def test_saved_and_taken_up_again(tmp_path):
    trainer = build()
    for step in range(2):
        trainer.step(real_images(), draws(step))
    trainer.save_pretrained(tmp_path)
    taken = GANTrainer.from_pretrained(tmp_path, gamma=0.5)
    before, after = weights(trainer), weights(taken)
    for name in before:
        assert torch.equal(before[name], after[name]), name
    assert taken.gamma == 0.5 and not taken.average.warmup and taken.num_steps == 0
    assert taken.discriminator.training and taken.generator.training and not taken.ema.training


def test_without_a_saved_discriminator_a_fresh_one_and_a_warning(tmp_path, caplog):
    trainer = build()
    trainer.ema.save_pretrained(tmp_path)
    with caplog.at_level(logging.WARNING, logger="synthcl.generators.gan.saved"):
        taken = GANTrainer.from_pretrained(tmp_path)
    assert str(tmp_path) in caplog.text and "afresh" in caplog.text
    assert dict(taken.discriminator.config)["widths"] == [8, 8]


@pytest.mark.parametrize(
    ("images", "hard", "message"),
    [
        (torch.zeros(N, 3, SIZE, SIZE), None, "graph"),
        (torch.zeros(N - 1, 3, SIZE, SIZE, requires_grad=True), None, r"images.*\(5, 3, 8, 8\)"),
        (torch.zeros(N, 3, SIZE, SIZE, requires_grad=True), torch.zeros(N, 1, 1, 1), r"hard_gradient.*\(6, 1, 1, 1\)"),
    ],
)
def test_images_that_do_not_fit_are_refused(images, hard, message):
    with pytest.raises(ValueError, match=message):
        build().step(real_images(), draws(), images=images, hard_gradient=hard)


class TestSchedules:
    STEPS = 8
    OPTIONS: ClassVar = {
        "total_steps": STEPS, "gamma": 0.4, "final_gamma": 0.1, "beta1": 0.1, "beta2": 0.9, "final_beta2": 0.99,
        "decay": 0.5, "generator_learning_rate": 2e-3, "discriminator_learning_rate": 4e-3,
    }  # fmt: skip

    def test_each_step_has_the_values_of_its_place_in_the_training(self):
        trainer = build(**self.OPTIONS)
        for step in range(self.STEPS + 2):
            trainer.step(real_images(), draws(step))
            part = min(1, step / self.STEPS)
            factor = 1.0 if part <= 0.5 else (1 + math.cos(math.pi * (part - 0.5) / 0.5)) / 2
            for name, rate in (("generator", 2e-3), ("discriminator", 4e-3)):
                (group,) = trainer.optimizers[name].param_groups
                assert group["lr"] == pytest.approx(rate * factor, abs=1e-12)
                assert group["betas"] == pytest.approx((0.1, 1 - 0.1 * 0.1**part))
        assert group["lr"] == 0 and group["betas"][1] == 0.99

    def test_gamma_falls_by_an_equal_factor_each_step(self):
        """The same penalty of the same networks weighs gamma as much: a step at 4 of 8 is one with the mean factor."""
        changing, constant = build(**{**self.OPTIONS, "decay": 0, "final_beta2": None}), build(beta1=0.1, beta2=0.9)
        constant.load_state_dict(changing.state_dict() | {"num_steps": 4})
        changing.load_state_dict(changing.state_dict() | {"num_steps": 4})
        constant.gamma = math.sqrt(0.4 * 0.1)
        constant.generator_learning_rate, constant.discriminator_learning_rate = 2e-3, 4e-3
        for trainer in (changing, constant):
            trainer.step(real_images(), draws())
        torch.testing.assert_close(weights(changing), weights(constant), rtol=1e-5, atol=1e-6)

    def test_resumed_equals_uninterrupted(self, tmp_path):
        straight = build(**self.OPTIONS)
        for step in range(self.STEPS):
            if step == 5:
                torch.save(straight.state_dict(), tmp_path / "state.pt")
            straight.step(real_images(), draws(step))
        resumed = build(**self.OPTIONS)
        resumed.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
        for step in range(5, self.STEPS):
            resumed.step(real_images(), draws(step))
        assert all(torch.equal(value, weights(resumed)[name]) for name, value in weights(straight).items())

    def test_without_a_length_nothing_changes(self):
        trainer = build(**{**self.OPTIONS, "total_steps": None})
        for step in range(3):
            trainer.step(real_images(), draws(step))
        (group,) = trainer.optimizers["discriminator"].param_groups
        assert group["lr"] == 4e-3 and group["betas"] == (0.1, 0.9)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"generator_learning_rate": 0.0}, "generator_learning_rate must be above 0, not 0.0"),
        ({"learning_rate": -1.0}, "learning_rate must be above 0, not -1.0"),
        ({"gamma": -0.1}, "gamma must be at least 0, not -0.1"),
        ({"gamma": math.nan}, "gamma must be at least 0, not nan"),
        ({"final_gamma": 0.0}, "final_gamma must be above 0, not 0.0"),
        ({"gamma": 0.0, "final_gamma": 0.1}, "where there is a final_gamma, must be above 0"),
        ({"beta1": 1.0}, "beta1 must be below 1, not 1.0"),
        ({"final_beta2": 1.5}, "final_beta2 must be below 1, not 1.5"),
        ({"decay": 1.5}, "decay must be at most 1, not 1.5"),
        ({"ema_decay": 1.0}, "ema_decay must be below 1, not 1.0"),
        ({"total_steps": 0}, "total_steps must be at least 1, not 0"),
        ({"augment": "color"}, "'color': choose from none, colour"),
    ],
)
def test_values_out_of_range_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        build(**options)


def test_the_bound_in_parameters_is_that_of_the_norm_of_the_gradient_of_g():
    """Against both gradients taken apart: realism whole, the hard one shortened to the bound, or let be within it."""
    hard = torch.randn(N, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(3))
    for scale, bound in ((1e3, 0.25), (1e-6, 0.25)):
        moved = {}
        for name, given in {"plain": None, "joint": scale * hard}.items():
            trainer = build()
            applied = []
            trainer.optimizers["generator"].register_step_pre_hook(
                lambda optimizer, *_, applied=applied: applied.extend(
                    p.grad.clone() for group in optimizer.param_groups for p in group["params"]
                )
            )
            joint_step(trainer, given, hard_bound=bound, bound_on="parameters")
            moved[name] = applied
        realism = torch.nn.utils.get_total_norm(moved["plain"])
        added = torch.nn.utils.get_total_norm([j - p for j, p in zip(moved["joint"], moved["plain"], strict=True)])
        if scale > 1:
            torch.testing.assert_close(added, bound * realism, rtol=1e-3, atol=0)
        else:
            trainer = build()
            images = trainer.generator(trainer.generator.sample_latents(N, draws=draws()))
            alone = torch.autograd.grad(images, list(trainer.generator.parameters()), scale * hard)
            torch.testing.assert_close(added, torch.nn.utils.get_total_norm(alone), rtol=1e-2, atol=0)


def test_a_checkpoint_of_an_earlier_version_is_refused_in_words():
    state = build().state_dict()
    del state["steps_before"]
    with pytest.raises(ValueError, match=r"of an earlier version.*begin again in a new folder"):
        build().load_state_dict(state)

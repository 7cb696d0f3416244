"""Which scheduler steps down, in how many steps, and where a pair enters."""

from __future__ import annotations

import pytest
import torch
from diffusers import DDIMScheduler, DDPMScheduler, DPMSolverSDEScheduler

from synthcl.generators import OptionError
from synthcl.generators.pretrained import PretrainedGenerator
from synthcl.generators.pretrained.adapters import create_adapter
from synthcl.generators.pretrained.schedulers import check_steps, choose_scheduler, first_step_of


@pytest.mark.parametrize("kind", ["DDPMPipeline", "LDMPipeline", "DiTPipeline"])
@pytest.mark.parametrize("sampler", ["ddim", "dpm"])
def test_few_step_solvers_serve_in_place_of_the_scheduler(check_batches, build_pipeline, kind, sampler):
    pipeline = build_pipeline(kind)
    generator = PretrainedGenerator(pipeline, sampler=sampler, sampling_steps=4)
    assert generator.recipe["scheduler"] == {"ddim": "DDIMScheduler", "dpm": "DPMSolverMultistepScheduler"}[sampler]
    check_batches(generator)


@pytest.mark.parametrize("sampler", [None, "ddim", "dpm"])
@pytest.mark.parametrize("variance", ["learned_range", "fixed_small"])
def test_a_learned_variance_on_pixels_serves_the_schedulers_that_take_one_alone(
    check_batches, build_pipeline, sampler, variance
):
    scheduler = DDPMScheduler(variance_type=variance)
    pipeline = build_pipeline("DDPMPipeline", out_channels=6, scheduler=scheduler)
    check_batches(PretrainedGenerator(pipeline, sampler=sampler, sampling_steps=4))


@pytest.mark.parametrize("sampler", ["dpm", "ddim"])
def test_a_weak_pair_stays_near_under_each_solver(draws, build_pipeline, sampler):
    generator = PretrainedGenerator(build_pipeline("DDPMPipeline"), sampler=sampler, sampling_steps=20)
    latents = generator.sample_latents(4, draws=draws(4))
    (images, near), (_, far) = (generator.forward_group(latents, 2, s, draws(4)) for s in (0.05, 1.0))
    assert (images - near).square().mean() < 0.3 * (images - far).square().mean()


def test_a_scheduler_with_one_noise_for_the_batch_is_refused(build_pipeline, monkeypatch):
    pipeline = build_pipeline("DDPMPipeline")
    pipeline.scheduler = object.__new__(DPMSolverSDEScheduler)
    with pytest.raises(ValueError, match="one noise for a whole batch"):
        PretrainedGenerator(pipeline)


def test_the_pipelines_own_scheduler_is_copied_not_shared(build_pipeline):
    pipeline = build_pipeline("DDIMPipeline")
    scheduler = choose_scheduler(create_adapter(pipeline), None)
    scheduler.set_timesteps(3)
    assert type(scheduler) is type(pipeline.scheduler) and scheduler.config == pipeline.scheduler.config
    assert len(pipeline.scheduler.timesteps) == 1000, "the pipeline's own keeps its steps"


@pytest.mark.parametrize(("strength", "first"), [(1.0, 0), (0.95, 0), (0.5, 5), (0.26, 7), (0.1, 9), (0.01, 9)])
def test_a_pair_enters_where_its_strengths_part_of_the_steps_is_left(strength, first):
    scheduler = DDIMScheduler()
    scheduler.set_timesteps(10)
    assert first_step_of(scheduler, strength) == first


def test_a_pair_cannot_enter_a_single_step_or_steps_at_one_timestep():
    scheduler = DDIMScheduler()
    scheduler.set_timesteps(1)
    with pytest.raises(OptionError, match="DDIMScheduler takes 1 at 1 timesteps; choose sampling_steps"):
        first_step_of(scheduler, 0.5)
    scheduler.timesteps = torch.tensor([900, 500, 500, 100])
    with pytest.raises(OptionError, match="takes 4 at 3 timesteps"):
        first_step_of(scheduler, 0.5)


@pytest.mark.parametrize("steps", [1, 1000])
def test_as_many_steps_as_the_schedule_has_are_taken(steps):
    assert check_steps(steps, DDIMScheduler()) == steps

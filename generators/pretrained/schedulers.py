"""Which scheduler steps a pipeline's samples down from noise: its own, or a few-step solver on its noise schedule."""

from __future__ import annotations

import inspect
from typing import Any

import torch
from diffusers import DDIMScheduler, DPMSolverMultistepScheduler
from torch import Tensor

from ..base import check_strength
from ..errors import OptionError
from .adapters import PipelineAdapter


def choose_scheduler(adapter: PipelineAdapter, sampler: str | None) -> Any:
    """A new scheduler, so that no other use of the pipeline's disturbs it.

    Args:
        adapter: the pipeline.
        sampler: `ddim`, `dpm`, or None for the pipeline's own.

    Raises:
        ValueError: an unknown sampler, or one that cannot serve here.
    """
    own = adapter.pipeline.scheduler
    if sampler is None:
        if type(own).__name__ == "DPMSolverSDEScheduler":
            raise ValueError(
                "DPMSolverSDEScheduler draws one noise for a whole batch, so that a sample would depend on its batch: "
                "choose sampler dpm or ddim"
            )
        return type(own).from_config(own.config)
    if not adapter.samplers:
        raise OptionError(
            f"a {type(adapter.pipeline).__name__} has a sampler of its own: leave sampler {sampler!r} out, and choose "
            "sampling_steps"
        )
    if sampler == "ddim":
        return DDIMScheduler.from_config(own.config)
    if sampler == "dpm":
        # `step` takes a learned variance off, for solvers that know of none.
        return DPMSolverMultistepScheduler.from_config(own.config, variance_type=None)
    raise OptionError(f"unknown sampler {sampler!r}: choose from ddim, dpm, or none for the pipeline's own")


def check_steps(steps: int, scheduler: Any) -> int:
    """The number itself. Raises ValueError if it is none that the scheduler takes."""
    most = scheduler.config.num_train_timesteps
    if not 1 <= steps <= most:
        raise OptionError(f"the number of sampling steps must be from 1 to {most}, not {steps}")
    return steps


def step(scheduler: Any, output: Tensor, t: Tensor, x: Tensor, generators: list[torch.Generator]) -> Tensor:
    """One step down; its noise, if the scheduler adds any, is each sample's own.

    A variance that the network has learned follows its prediction as further channels; they go on only to a scheduler
    that takes them.
    """
    if not _takes_variance(scheduler):
        output = output[:, : x.shape[1]]
    extra = {"generator": generators} if "generator" in inspect.signature(scheduler.step).parameters else {}
    return scheduler.step(output, t, x, **extra).prev_sample


def _takes_variance(scheduler: Any) -> bool:
    """Whether it splits a learned variance off itself. A configuration also holds entries of other schedulers."""
    knows = "variance_type" in inspect.signature(type(scheduler).__init__).parameters
    return knows and str(scheduler.config.variance_type).startswith("learned")


def first_step_of(scheduler: Any, strength: float) -> int:
    """The index of the timestep at which re-noising part of the way enters, for steps that are set.

    Raises:
        OptionError: a strength out of range, or a scheduler whose steps cannot be entered in the middle.
    """
    check_strength(strength)
    timesteps = scheduler.timesteps.tolist()
    if len(timesteps) < 2 or len(set(timesteps)) < len(timesteps):
        raise OptionError(
            f"pairs need two sampling steps or more, each at a timestep of its own: {type(scheduler).__name__} takes "
            f"{len(timesteps)} at {len(set(timesteps))} timesteps; choose sampling_steps, or sampler dpm or ddim"
        )
    return len(timesteps) - max(round(strength * len(timesteps)), 1)

"""What a regime is built from."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass

from accelerate import Accelerator

from ..configs.train import TrainConfig
from ..randomness import Key
from .assembly import RealImages, ViewMaker
from .base import Regime, Share, synthetic_share


@dataclass(frozen=True, kw_only=True)
class RegimeSetup:
    """Everything that a regime may ask for, each ready for use.

    Attributes:
        config: the options of the training.
        real: the source of real images.
        views: makes the views.
        key: the run's stream of random numbers.
        accelerator: of the training.
        total_steps: of the training.
    """

    config: TrainConfig
    real: RealImages
    views: ViewMaker
    key: Key
    accelerator: Accelerator
    total_steps: int

    def synthetic_share(self) -> Share:
        """How many synthetic samples a step has, and which are this process's.

        Raises:
            UsageError: none, or a number that processes or --accumulate cannot share.
        """
        own = self.real.share
        share = synthetic_share(self.config.batch_size, self.config.synthetic_ratio, own.rank, own.num_processes)
        share.check_parts(self.config.accumulate)
        return share


def build_regime(setup: RegimeSetup) -> Regime:
    """The regime that the options name.

    Raises:
        UsageError: a shard set or generator of another image size, or samples that cannot be shared by the processes.
    """
    # The module of its name has it: the others, and what they import, are not loaded.
    build: Callable[[RegimeSetup], Regime] = importlib.import_module(f".{setup.config.regime}", __package__).build
    return build(setup)

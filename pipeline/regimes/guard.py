"""The guard of joint training: the hard gradient gives way while the generator leaves its band, and comes back after.

Hardness is worth something while samples stay images. Two cheap signs say when they do not: the discriminator's margin
goes to 0, so that nothing holds the generator any more, and the samples' mean colours vary much less, or much more,
than those of real images do. A third costs a measurement now and then: the Fréchet distance to real images, in the
features of an encoder that the generator does not attack, grows well beyond the least that it was, before the first
step or since. What real images have among themselves, as many to a side, is taken off both: the fewer they are, the
more of a distance is that.

A generator that was pulled away far does not come back by itself when hardness lets go. So where the distance is
measured, the trainer's weights of the last measurement inside the band are kept, to go back to.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ...generators import GeneratorTrainer
from ..runs.metrics import MetricsLog
from ..runtime.distributed import average

MEMORY = 0.95
"""Decay of the averages that are judged: of twenty steps or so. Ours."""
MIN_MARGIN = 0.005
"""The least mean of D(x) - D(G(z)). A discriminator that has died stays within .001 to .003 of 0 at the end; one that
goes on teaching had .03 and more (three recipes on CIFAR-10 at 16 pixels, one seed each). Ours."""
COLOUR_BAND = (0.5, 2.0)
"""The band of the spread of samples' mean colours, over that of real images. It fell below a third where G
recoloured all samples; a pretrained G has .8 to 1.2. Ours."""
DISTANCE_BAND = 4.0
"""How far beyond real images' own distance the samples' may be, as a multiple of the least that it was in the run.
For a generator two to three times as far as real images are, as one was with 2,500 of them, that is where three times
the whole distance is, within a fifth, which healthy trainings seldom passed (1 of 39 measurements of three). 250 real
images were at 7.7 from each other and the generator at 8.7: three times the whole is never reached. Ours."""
LEAST_EXCESS = 0.1
"""The least that counts as a distance beyond real images' own, as a part of that: a generator that is measured as near
as real images has a band too. Ours."""
FALL, RISE = 0.9, 1.005
"""Factors a step outside and inside the band: half in 7 steps, and back in 140. It lets go slowly, since a generator
that was pulled away takes longer to come back than to go. Ours."""
CUT = 0.1
"""What is left of the factor when the generator goes back: the next attempt must not be like the last. Ours."""
FLOOR = 1e-3
"""The least that is left of the hard gradient, from which it can come back. Ours."""


_STATE = ("factor", "seen", "margin", "colours", "distance", "least_distance", "furthest")


def furthest_distance(least: float, real: float) -> float:
    """The largest Fréchet distance inside the band.

    Args:
        least: that was measured in the run.
        real: of real images to others, as many to a side; 0 where it is not known.
    """
    return real + DISTANCE_BAND * max(least - real, LEAST_EXCESS * real)


class HardGuard:
    """What is left of the hard gradient, from `FLOOR` to 1: a function of the steps so far, on the device.

    Args:
        device: of the training.
    """

    def __init__(self, device: torch.device) -> None:
        self.factor = torch.ones((), device=device)
        self.seen = torch.zeros((), device=device)  # steps, to begin the averages with
        self.margin = torch.zeros((), device=device)
        self.colours = torch.zeros((), device=device)
        # The last Fréchet distance, the least, and the largest inside the band; 0 before the first.
        self.distance = torch.zeros((), device=device)
        self.least_distance = torch.zeros((), device=device)
        self.furthest = torch.zeros((), device=device)

    def measured(self, distance: float, real: float = 0.0) -> dict[str, float]:
        """Take in the generator's Fréchet distance, the same in every process, and give `least_frechet_distance`.

        Args:
            distance: of its samples to real images.
            real: of real images to others, as many to a side; 0 where it is not known.
        """
        self.distance = torch.full_like(self.distance, distance)
        first = self.least_distance == 0
        self.least_distance = torch.where(first, self.distance, torch.minimum(self.least_distance, self.distance))
        least = self.least_distance.item()
        self.furthest = torch.full_like(self.furthest, furthest_distance(least, real))
        return {"least_frechet_distance": least}

    @property
    def is_near(self) -> bool:
        """Whether the last measured Fréchet distance is inside the band. Waits for the device."""
        return not self._is_far().item()

    def _is_far(self) -> Tensor:
        return self.distance > self.furthest

    def went_back(self, distance: Tensor) -> None:
        """The generator is again the one that was measured at `distance`: less of hardness from here on."""
        self.distance = distance
        self.factor = (CUT * self.factor).clamp(min=FLOOR)

    def observe(self, margin: Tensor | None, colours: Tensor | None) -> dict[str, Tensor]:
        """Take in a step, and give the scalars to log: `hard_guard`, what is left.

        Args:
            margin: this process's mean D(x) - D(G(z)); None for a generator without a discriminator.
            colours: this process's spread of mean colours, over that of real images; None where a step has too few
                samples to tell.
        """
        if colours is None:
            colours = torch.ones_like(self.colours)  # inside the band
        now = average(torch.stack((colours if margin is None else margin, colours)).detach().float())
        # The first step counts whole, and later ones less, until the memory is full.
        new = torch.clamp(1 / (self.seen + 1), min=1 - MEMORY)
        self.margin, self.colours = (
            torch.lerp(a, b, new) for a, b in zip((self.margin, self.colours), now, strict=True)
        )
        self.seen = self.seen + 1
        outside = (self.colours < COLOUR_BAND[0]) | (self.colours > COLOUR_BAND[1])
        if margin is not None:
            outside = outside | (self.margin < MIN_MARGIN)
        outside = outside | self._is_far()
        self.factor = (self.factor * torch.where(outside, FALL, RISE)).clamp(FLOOR, 1.0)
        return {"hard_guard": self.factor}

    def state_dict(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in _STATE}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        # Runs begun earlier have no `furthest`: until the next measurement they go by the distance alone.
        for name, value in ({"furthest": DISTANCE_BAND * state["least_distance"]} | state).items():
            setattr(self, name, value.to(self.factor.device))


class LastGood:
    """The trainer at the last measurement inside the band: G, its average, what else learns, and Adam's states.

    One more copy of all of those, on the device, and in each checkpoint.

    Args:
        trainer: of the generator, which goes on to be trained.
        device: of the training.
    """

    def __init__(self, trainer: GeneratorTrainer, device: torch.device) -> None:
        self.trainer = trainer
        self.state: dict[str, Any] | None = None
        self.distance = torch.zeros((), device=device)

    def after_measurement(self, guard: HardGuard) -> dict[str, float]:
        """Keep the trainer as it is inside the band; outside it go back to what was kept, and tell the guard.

        Gives `generator_went_back`, 1 where it did. Schedules go on from where they are.
        """
        if guard.is_near:
            self.state = copy.deepcopy(self.trainer.state_dict())
            self.distance = guard.distance
            return {"generator_went_back": 0.0}
        if self.state is None:
            return {"generator_went_back": 0.0}
        self.trainer.load_state_dict(copy.deepcopy(self.state) | {"num_steps": self.trainer.num_steps})
        guard.went_back(self.distance)
        return {"generator_went_back": 1.0}

    def state_dict(self) -> dict[str, Any]:
        return {"state": self.state, "distance": self.distance}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.state, self.distance = state["state"], state["distance"].to(self.distance.device)


class GuardNotice:
    """A log of rows that says in words, once, when the guard has taken away half of the hard gradient.

    It is a `RowLog` of the loop that writes no file. What it knows follows from the run's metrics, so that a resumed
    run says no more than the uninterrupted one.

    Args:
        metrics: of the run.
        say: takes a sentence.
    """

    def __init__(self, metrics: MetricsLog, say: Callable[[str], object]) -> None:
        self.metrics, self.say = metrics, say
        self._begin()

    def _begin(self) -> None:
        self.said = False
        self.distance = self.least = float("inf")
        self.real = 0.0
        self.back = False

    def append(self, row: dict[str, float]) -> None:
        """See a row, and speak if it is the first with half of the hard gradient or less."""
        if not self._see(row):
            return
        signs = []
        if row.get("margin", 1.0) < 2 * MIN_MARGIN:
            signs.append(f"the discriminator's margin is {row['margin']:.3g}, near chance")
        low, high = COLOUR_BAND
        if not low <= row.get("colour_spread", 1.0) <= high:
            signs.append(f"samples' mean colours vary {row['colour_spread']:.2g} times as much as real ones'")
        if self.distance > furthest_distance(self.least, self.real):
            signs.append(f"its samples' Fréchet distance to real images is {self.distance:.3g}, after {self.least:.3g}")
        why = " and ".join(signs) or "the generator had left its band"
        back = "; the generator went back to its last good weights" if self.back else ""
        self.say(
            f"step {row['step']}: hardness is held back to {row['hard_guard']:.0%} of its weight, since {why}{back}. A "
            "smaller --hardness-clip or --generator-learning-rate, or a generator pretrained for longer, may help"
        )

    def _see(self, row: dict[str, float]) -> bool:
        """Take a row in; whether it is the first with half of the hard gradient or less."""
        if "frechet_distance" in row:
            self.distance = row["frechet_distance"]
            self.least = row.get("least_frechet_distance", min(self.least, self.distance))
            self.real = row.get("frechet_distance_real", 0.0)
            self.back = self.back or row.get("generator_went_back", 0.0) > 0
        if self.said or row.get("hard_guard", 1.0) > 0.5:
            return False
        self.said = True
        return True

    def rewind(self, steps: int) -> None:
        """Know what the rows of the first `steps` steps say."""
        self._begin()
        for row in self.metrics.read():
            if row["step"] <= steps:
                self._see(row)

    def commit(self, steps: int) -> None:
        """There is nothing to write."""

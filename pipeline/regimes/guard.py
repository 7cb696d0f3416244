"""The guard of joint training: the hard gradient gives way while the generator leaves its band, and comes back after.

Hardness is worth something while samples stay images. Two cheap signs say when they do not: the discriminator's margin
goes to 0, so that nothing holds the generator any more, and the samples' mean colours vary much less, or much more,
than those of real images do.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..distributed import average

MEMORY = 0.95
"""Decay of the averages that are judged: of twenty steps or so. Ours."""
MIN_MARGIN = 0.005
"""The least mean of D(x) - D(G(z)). A discriminator that has died stays within .001 to .003 of 0 at the end; one that
goes on teaching had .03 and more (three recipes on CIFAR-10 at 16 pixels, one seed each). Ours."""
COLOUR_BAND = (0.5, 2.0)
"""Of the spread of samples' mean colours over that of real images. Where G recoloured all samples it fell below a
third; a pretrained G has .8 to 1.2. Ours."""
FALL, RISE = 0.95, 1.02
"""Factors a step outside and inside the band: half in 14 steps, and back in 35. Ours."""
FLOOR = 1e-3
"""The least that is left of the hard gradient, from which it can come back. Ours."""


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

    def observe(self, margin: Tensor | None, colours: Tensor) -> dict[str, Tensor]:
        """Take in a step, and give the scalars to log: `hard_guard`, what is left.

        Args:
            margin: this process's mean D(x) - D(G(z)); None for a generator without a discriminator.
            colours: this process's spread of mean colours, over that of real images.
        """
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
        self.factor = (self.factor * torch.where(outside, FALL, RISE)).clamp(FLOOR, 1.0)
        return {"hard_guard": self.factor}

    def state_dict(self) -> dict[str, Any]:
        return {"factor": self.factor, "seen": self.seen, "margin": self.margin, "colours": self.colours}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            setattr(self, name, value.to(self.factor.device))


class GuardNotice:
    """A log of rows that says in words, once, when the guard has taken away half of the hard gradient.

    Args:
        say: takes a sentence.
    """

    def __init__(self, say: Any) -> None:
        self.say, self.said = say, False

    def append(self, row: dict[str, float]) -> None:
        if self.said or row.get("hard_guard", 1.0) > 0.5:
            return
        self.said = True
        signs = []
        if row.get("margin", 1.0) < 2 * MIN_MARGIN:
            signs.append(f"the discriminator's margin is {row['margin']:.3g}, near chance")
        low, high = COLOUR_BAND
        if not low <= row["colour_spread"] <= high:
            signs.append(f"samples' mean colours vary {row['colour_spread']:.2g} times as much as real ones'")
        why = " and ".join(signs) or "the generator had left its band"
        self.say(
            f"step {row['step']}: hardness is held back to {row['hard_guard']:.0%} of its weight, since {why}. A "
            "smaller --hardness-clip or --generator-learning-rate, or a generator pretrained for longer, may help"
        )

    def rewind(self, steps: int) -> None:
        """Nothing is kept."""

    def commit(self, steps: int) -> None:
        """Nothing is kept."""

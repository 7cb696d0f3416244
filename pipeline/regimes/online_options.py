"""The switches of the online regime, as its options set them."""

from __future__ import annotations

from dataclasses import dataclass

from ..configs.train import TrainConfig
from .similarity import SimilarityTarget


@dataclass(kw_only=True)
class OnlineOptions:
    """The switches of the method; each is an ablation.

    Attributes:
        hard: samples are made hard for the learner; without it G follows its own loss alone.
        on: what is moved for it: "weights", G's, by the learner's reversed gradient; or "latents", each by itself
            (see `OnlineRegime.harder`).
        latent_radius: how far a latent moves, as a part of its length.
        pairs: two views of G_ema(z) beside the two of G(z).
        pair_strength: how far the latent of G_ema's image is from G's, as for `Generator.neighbours`; 0 is the same.
        objective: what G is to raise; see `hardness`.
        weight: of the reversed gradient.
        centred: the reversed gradients less their mean over the batch.
        gate: no reversed gradient for latents that are this much harder than the real views; None is no gate.
        pair_floor: no reversed gradient for latents whose pair is less similar than this; None is no floor.
        bound: of the reversed gradient, as a multiple of the realism gradient.
        bound_on: "images", each sample's gradients, or "parameters", those of G's weights.
        ramp_steps: steps over which the bound, or the radius, rises linearly from 0.
        last_hard_step: no reversed gradient from this step on.
        guard: hold the reversed gradient back while the generator leaves its band; see `HardGuard`.
        goes_back: bring the generator back when it is measured outside its band; see `LastGood`.
        similarity: a target for the similarity of pairs, or None to let it be.
    """

    hard: bool = True
    on: str = "weights"
    latent_radius: float = 0.3
    pairs: bool = True
    pair_strength: float = 0.0
    objective: str = "loss"
    weight: float = 1.0
    centred: bool = False
    gate: float | None = None
    pair_floor: float | None = None
    bound: float = 1.0
    bound_on: str = "images"
    ramp_steps: int = 0
    last_hard_step: int | None = None
    guard: bool = True
    goes_back: bool = True
    similarity: SimilarityTarget | None = None

    def is_hard(self, step: int) -> bool:
        """Whether samples are made hard at step `step`."""
        return self.hard and (self.last_hard_step is None or step < self.last_hard_step)

    def moves_weights(self, step: int) -> bool:
        """Whether G receives a reversed gradient at step `step`."""
        return self.on == "weights" and self.is_hard(step)

    def moves_latents(self, step: int) -> bool:
        """Whether each latent is moved at step `step`."""
        return self.on == "latents" and self.is_hard(step)

    def bound_at(self, step: int) -> float:
        """The bound at step `step`."""
        return self.bound * self._ramp(step)

    def radius_at(self, step: int) -> float:
        """How far latents are moved at step `step`, as a part of their length."""
        return self.latent_radius * self._ramp(step)

    def _ramp(self, step: int) -> float:
        return min(1.0, step / self.ramp_steps if self.ramp_steps else 1.0)


def online_options(config: TrainConfig, total_steps: int) -> OnlineOptions:
    """What the options of `train` say, for a training of so many steps."""
    target = config.pair_similarity_range()
    return OnlineOptions(
        hard=config.hard,
        on=config.hard_on,
        latent_radius=config.latent_radius,
        pairs=config.pairs,
        pair_strength=config.pair_strength or 0.0,
        objective=config.hard_objective,
        weight=config.hard_weight,
        centred=config.hard_centred,
        gate=config.hard_gate,
        pair_floor=config.pair_floor,
        bound=config.hardness_clip,
        bound_on=config.hardness_clip_on,
        ramp_steps=round(config.hard_ramp * total_steps),
        last_hard_step=round((1 - config.hard_freeze) * total_steps) if config.hard_freeze else None,
        guard=config.hard_guard,
        goes_back=config.hard and config.hard_guard and config.guard_goes_back,
        similarity=SimilarityTarget(*target, total_steps, config.pair_ema_decay) if target is not None else None,
    )

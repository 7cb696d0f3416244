"""How a learner is trained by default. Imports no torch, so that the command line can show it."""

from __future__ import annotations

from dataclasses import dataclass

TRUST = 1e-3
"""The trust coefficient of LARS: eta of You et al. 2017, arXiv 1708.03888, section 5, and of SimCLR's code."""


NAMES = ("sgd", "lars", "adamw")
"""Of the optimizers."""


@dataclass(frozen=True, kw_only=True)
class OptimizerRecipe:
    """The optimizer and the settings that a method starts from, with a cosine decay.

    Attributes:
        optimizer: one of `NAMES`.
        base_learning_rate: for a batch of 256 real images, over all processes.
        weight_decay: on all parameters, or on those that `decay_norms` leaves.
        momentum: of SGD and LARS; beta 1 of AdamW.
        decay_norms: whether biases and the parameters of normalisation layers decay too.
        trust, clip: of LARS alone; see there.
        source: where the numbers come from, and what of them is ours.
    """

    optimizer: str = "sgd"
    base_learning_rate: float
    weight_decay: float
    momentum: float = 0.9
    decay_norms: bool = True
    trust: float = TRUST
    clip: bool = False
    source: str

    def __post_init__(self) -> None:
        if self.optimizer not in NAMES:
            raise ValueError(f"unknown optimizer {self.optimizer!r}; choose one of {', '.join(NAMES)}")

    def learning_rate(self, batch_size: int) -> float:
        """The peak learning rate at `batch_size` real images a step (linear scaling, arXiv 1706.02677)."""
        return self.base_learning_rate * batch_size / 256

    def with_optimizer(self, name: str | None) -> OptimizerRecipe:
        """This recipe, or the one of another optimizer."""
        return self if name is None or name == self.optimizer else OPTIMIZERS[name]


OPTIMIZERS: dict[str, OptimizerRecipe] = {
    "sgd": OptimizerRecipe(
        optimizer="sgd",
        base_learning_rate=0.03,
        weight_decay=1e-4,
        source="MoCo v2's on ImageNet, arXiv 1911.05722, section 4",
    ),
    "lars": OptimizerRecipe(
        optimizer="lars",
        base_learning_rate=0.3,
        weight_decay=1e-6,
        decay_norms=False,
        source="SimCLR's on ImageNet, arXiv 2002.05709, section 2.2; decay_norms: its authors' code",
    ),
    "adamw": OptimizerRecipe(
        optimizer="adamw",
        base_learning_rate=1.5e-4,
        weight_decay=0.1,
        source="MoCo v3's of vision transformers on ImageNet, arXiv 2104.02057, section 5; decay_norms: its code",
    ),
}
"""By name, with the settings to start from where a learner's own recipe has another optimizer."""

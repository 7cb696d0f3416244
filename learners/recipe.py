"""How a learner is trained by default. Imports no torch, so that the command line can show it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """The optimizer settings a method starts from, for CIFAR at batch sizes of 256 to 512, with a cosine decay."""

    optimizer: str = "sgd"
    """The only one used so far: SGD with momentum."""
    base_learning_rate: float
    """For a batch of 256 real images; to be scaled linearly with the batch size."""
    weight_decay: float
    """On all parameters."""
    momentum: float = 0.9
    """Of SGD."""
    source: str
    """Where the numbers come from, and what of them is ours."""

    def learning_rate(self, batch_size: int) -> float:
        """The peak learning rate at `batch_size` real images a step, over all processes."""
        return self.base_learning_rate * batch_size / 256

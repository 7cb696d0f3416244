"""The optimizers that learners are trained by, made from a recipe."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from .recipe import OptimizerRecipe

TRUST = 1e-3
"""The trust coefficient of LARS: eta of You et al. 2017, arXiv 1708.03888, section 5, and of SimCLR's code."""


class LARS(Optimizer):
    """SGD with momentum whose step in each tensor follows the tensor's norm (You et al. 2017, arXiv 1708.03888).

    With g = gradient + weight_decay * w, the tensor's rate is lr * eta |w| / |g| (algorithm 1, with the decay inside
    the norm as in SimCLR's code); where either norm is 0 it is lr. Nothing is read back from the device.

    Args:
        params: tensors or groups; a group with `adapt` False is trained by plain SGD.
        lr: above 0.
        momentum: in [0, 1).
        weight_decay: at least 0.
        trust: eta.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        trust: float = TRUST,
    ) -> None:
        defaults = {"lr": lr, "momentum": momentum, "weight_decay": weight_decay, "trust": trust, "adapt": True}
        super().__init__(params, defaults)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._update(parameter, parameter.grad, group)
        return loss

    def _update(self, parameter: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        if group["weight_decay"]:
            gradient = gradient.add(parameter, alpha=group["weight_decay"])
        if group["adapt"]:
            size, slope = parameter.norm(), gradient.norm()
            rate = torch.where((size > 0) & (slope > 0), group["trust"] * size / slope, torch.ones_like(size))
            gradient = gradient * rate
        state = self.state[parameter]
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = gradient.clone()
        else:
            state["momentum_buffer"].mul_(group["momentum"]).add_(gradient)
        parameter.add_(state["momentum_buffer"], alpha=-group["lr"])


def create_optimizer(module: nn.Module, recipe: OptimizerRecipe) -> Optimizer:
    """The optimizer of a recipe for the parameters of a module that take a gradient, at `base_learning_rate`.

    Vectors and single numbers are biases and the parameters of normalisation layers; LARS trains them by plain SGD, as
    SimCLR's code does, and without `decay_norms` they do not decay.
    """
    parameters = [p for p in module.parameters() if p.requires_grad]
    groups: list[dict[str, Any]] = [{"params": parameters}]
    if recipe.optimizer == "lars" or not recipe.decay_norms:
        vectors: dict[str, Any] = {"params": [p for p in parameters if p.dim() <= 1]}
        if not recipe.decay_norms:
            vectors["weight_decay"] = 0.0
        if recipe.optimizer == "lars":
            vectors["adapt"] = False
        groups = [{"params": [p for p in parameters if p.dim() > 1]}, vectors]
    rate, decay = recipe.base_learning_rate, recipe.weight_decay
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=rate, momentum=recipe.momentum, weight_decay=decay)
    if recipe.optimizer == "lars":
        return LARS(groups, lr=rate, momentum=recipe.momentum, weight_decay=decay)
    if recipe.optimizer == "adamw":
        return torch.optim.AdamW(groups, lr=rate, betas=(recipe.momentum, 0.999), weight_decay=decay)
    raise ValueError(f"unknown optimizer {recipe.optimizer!r}; choose sgd, lars or adamw")

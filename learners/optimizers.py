"""The optimizers that learners are trained by, made from a recipe."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
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


def scaled_groups(
    module: nn.Module, groups: Iterable[dict[str, Any]], scales: Mapping[str, float]
) -> list[dict[str, Any]]:
    """Groups of an optimizer parted by what the learning rate of their parameters is multiplied by, `lr_scale`.

    Args:
        module: whose parameters they are.
        groups: each with `params`, a list.
        scales: by the parameters' names in the module; 1 for those that it does not name.
    """
    scale_of = {id(parameter): scales.get(name, 1.0) for name, parameter in module.named_parameters()}
    parted = []
    for group in groups:
        for scale in sorted({scale_of[id(parameter)] for parameter in group["params"]}):
            own = [parameter for parameter in group["params"] if scale_of[id(parameter)] == scale]
            parted.append({**group, "params": own, "lr_scale": scale})
    return parted


def set_learning_rate(optimizer: Optimizer, rate: float) -> None:
    """Have the groups of an optimizer learn at this rate, or at their part of it, `lr_scale`."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group.get("lr_scale", 1.0)


def create_optimizer(
    module: nn.Module, recipe: OptimizerRecipe, scales: Mapping[str, float] | None = None
) -> Optimizer:
    """The optimizer of a recipe for the parameters of a module that take a gradient, at `base_learning_rate`.

    Vectors and single numbers are biases and the parameters of normalisation layers; LARS trains them by plain SGD, as
    SimCLR's code does, and without `decay_norms` they do not decay.

    Args:
        module: what is trained.
        recipe: the optimizer and its numbers.
        scales: as for `scaled_groups`; one rate for all if not given.
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
    if scales is not None:
        groups = scaled_groups(module, groups, scales)
    rate, decay = recipe.base_learning_rate, recipe.weight_decay
    optimizer: Optimizer
    if recipe.optimizer == "sgd":
        optimizer = torch.optim.SGD(groups, lr=rate, momentum=recipe.momentum, weight_decay=decay)
    elif recipe.optimizer == "lars":
        optimizer = LARS(groups, lr=rate, momentum=recipe.momentum, weight_decay=decay)
    elif recipe.optimizer == "adamw":
        optimizer = torch.optim.AdamW(groups, lr=rate, betas=(recipe.momentum, 0.999), weight_decay=decay)
    else:
        raise ValueError(f"unknown optimizer {recipe.optimizer!r}; choose sgd, lars or adamw")
    set_learning_rate(optimizer, rate)
    return optimizer

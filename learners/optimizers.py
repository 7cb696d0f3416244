"""The optimizers that learners are trained by, made from a recipe."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from .recipe import TRUST, OptimizerRecipe

FUSED_DEVICES = ("cpu", "cuda")
"""Where torch's SGD and AdamW have fused kernels that are used. Ours: elsewhere none of this is tried."""

CACHED_NUMBERS = 2**16
"""Weights that LARS takes at once on a CPU. Ours: with all at once an update of ResNet-18 took 1.7 times as long."""


class LARS(Optimizer):
    """SGD with momentum whose step in each tensor follows the tensor's norm (You et al. 2017, arXiv 1708.03888).

    With g = gradient + weight_decay * w and the trust ratio eta |w| / |g|, or 1 where either norm is 0, a step is

        v = momentum * v + eta |w| / |g| * g;  w = w - lr * v

    as in MoCo v3's code (`moco/optimizer.py`). The paper's algorithm 1 has lr inside v, as SimCLR's code does, so that
    the two differ where lr changes; and |gradient| + weight_decay * |w| for |g|. Nothing is read back from the device;
    in fp16 it takes the scale and the overflow from GradScaler as tensors, as torch's fused optimizers do.

    Args:
        params: tensors or groups; a group with `adapt` False is trained by plain SGD.
        lr: above 0.
        momentum: in [0, 1).
        weight_decay: at least 0.
        trust: eta.
        clip: see above.
    """

    _step_supports_amp_scaling = True
    """What GradScaler asks before it leaves `grad_scale` and `found_inf` to the optimizer, instead of waiting."""

    def __init__(
        self,
        params: Iterable[Any],
        lr: float,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        trust: float = TRUST,
        clip: bool = False,
    ) -> None:
        defaults = {"lr": lr, "momentum": momentum, "weight_decay": weight_decay, "trust": trust, "clip": clip}
        super().__init__(params, {**defaults, "adapt": True})

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        # States of versions without `clip` are of steps without it; trust is theirs as well.
        groups = [{"clip": False, **group} for group in state_dict["param_groups"]]
        super().load_state_dict({**state_dict, "param_groups": groups})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for parameters in _runs([parameter for parameter in group["params"] if parameter.grad is not None]):
                self._update(parameters, group)
        return loss

    def _update(self, parameters: list[Tensor], group: dict[str, Any]) -> None:
        """A step of some parameters of a group at once: many tensors are a few kernels."""
        gradients = [p.grad for p in parameters if p.grad is not None]
        scale, overflow = getattr(self, "grad_scale", None), getattr(self, "found_inf", None)
        if scale is not None:
            gradients = list(torch._foreach_div(gradients, scale))
        if group["weight_decay"]:
            gradients = list(torch._foreach_add(gradients, parameters, alpha=group["weight_decay"]))
        if group["adapt"]:
            sizes, slopes = (torch.stack(torch._foreach_norm(tensors)) for tensors in (parameters, gradients))
            rates = group["trust"] * sizes / slopes
            if group["clip"]:
                rates = (rates / group["lr"]).clamp(max=1)  # v is multiplied by lr below; at lr = 0 nothing moves
            rates = torch.where((sizes > 0) & (slopes > 0), rates, torch.ones_like(sizes))
            gradients = list(torch._foreach_mul(gradients, list(rates.unbind())))
        momenta = _momenta(self, parameters)
        if overflow is None:
            torch._foreach_mul_(momenta, group["momentum"])
            torch._foreach_add_(momenta, gradients)
            torch._foreach_add_(parameters, momenta, alpha=-group["lr"])
            return
        following = torch._foreach_add(torch._foreach_mul(momenta, group["momentum"]), gradients)
        moved = torch._foreach_add(parameters, following, alpha=-group["lr"])
        for kept, new in ((momenta, following), (parameters, moved)):
            torch._foreach_copy_(kept, [torch.where(overflow > 0, *pair) for pair in zip(kept, new, strict=True)])


class SGD(torch.optim.SGD):
    """torch's SGD with momentum, whose momenta begin at zero; the steps are the same.

    torch's own fused kernels leave the momenta as memory happens to be when fp16 overflows in the first step, and take
    no parameter whose first gradient comes later than that of others.

    Args:
        params: tensors or groups.
        lr, momentum, weight_decay: as torch has them.
        fused: use one kernel for many tensors. What is loaded need not be of a training that did.
    """

    def __init__(self, params: Iterable[Any], lr: float, momentum: float, weight_decay: float, fused: bool) -> None:
        super().__init__(params, lr=lr, momentum=momentum, weight_decay=weight_decay, fused=fused)
        self._begin()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        super().load_state_dict(_fused_as(self, state_dict))
        _lay_out(self)
        self._begin()

    def _begin(self) -> None:
        for group in self.param_groups:
            if group["momentum"]:
                _momenta(self, group["params"])


class AdamW(torch.optim.AdamW):
    """torch's AdamW (Loshchilov & Hutter 2019, arXiv 1711.05101).

    Args:
        params: tensors or groups.
        lr, betas, weight_decay: as torch has them.
        fused: use one kernel for many tensors. What is loaded need not be of a training that did.
    """

    def __init__(
        self, params: Iterable[Any], lr: float, betas: tuple[float, float], weight_decay: float, fused: bool
    ) -> None:
        super().__init__(params, lr=lr, betas=betas, weight_decay=weight_decay, fused=fused)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        super().load_state_dict(_fused_as(self, state_dict))
        _lay_out(self)


def _fused_as(optimizer: Optimizer, state: dict[str, Any]) -> dict[str, Any]:
    """A state whose groups are fused as the optimizer's are: GradScaler leaves to fused ones what others cannot do."""
    groups = [{**group, "fused": optimizer.defaults["fused"]} for group in state["param_groups"]]
    return {**state, "param_groups": groups}


def _lay_out(optimizer: Optimizer) -> None:
    """Have what was loaded lie in memory as the parameters do: fused kernels walk both in step."""
    for parameter, state in optimizer.state.items():
        for name, value in state.items():
            if isinstance(value, Tensor) and value.shape == parameter.shape and value.stride() != parameter.stride():
                state[name] = torch.empty_like(parameter, dtype=value.dtype).copy_(value)


def _runs(parameters: list[Tensor]) -> Iterator[list[Tensor]]:
    """Parameters in runs that are updated at once: all of them on a GPU; on a CPU as many as its caches hold."""
    run: list[Tensor] = []
    for parameter in parameters:
        if run and parameter.device.type == "cpu" and sum(p.numel() for p in run) + parameter.numel() > CACHED_NUMBERS:
            yield run
            run = []
        run.append(parameter)
    if run:
        yield run


def _momenta(optimizer: Optimizer, parameters: Iterable[Tensor]) -> list[Tensor]:
    """The momenta of parameters, zero where there are none yet."""
    for parameter in parameters:
        state = optimizer.state[parameter]
        if state.get("momentum_buffer") is None:
            state["momentum_buffer"] = torch.zeros_like(parameter)
    return [optimizer.state[parameter]["momentum_buffer"] for parameter in parameters]


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
    fused = all(p.is_floating_point() and p.device.type in FUSED_DEVICES for p in parameters)
    rate, decay = recipe.base_learning_rate, recipe.weight_decay
    optimizer: Optimizer
    if recipe.optimizer == "sgd":
        optimizer = SGD(groups, lr=rate, momentum=recipe.momentum, weight_decay=decay, fused=fused)
    elif recipe.optimizer == "lars":
        optimizer = LARS(
            groups, lr=rate, momentum=recipe.momentum, weight_decay=decay, trust=recipe.trust, clip=recipe.clip
        )
    else:
        assert recipe.optimizer == "adamw", "a recipe has no other"
        optimizer = AdamW(groups, lr=rate, betas=(recipe.momentum, 0.999), weight_decay=decay, fused=fused)
    set_learning_rate(optimizer, rate)
    return optimizer

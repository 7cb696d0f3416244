"""A learner of the user's own, tried before it trains: on views of noise, in the order in which a training has them, so
that a misunderstanding shows before the first step."""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from .base import Learner, LearnerOutput, SyntheticTerms

NUM_FEATURES = 12
"""Features of the backbone that a class is tried with."""
TRIAL_GROUPS = torch.tensor([0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5])
"""What a class is tried on: two views each of four real images, then four each of two latents, as `online` has them."""
NUM_REAL = 8
"""How many of these views are real."""


class TrialBackbone(nn.Linear):
    """A backbone of images (N, 3, 2, 2), to try a learner with.

    It has a `patch_embed`, as a vision transformer has: whether the backbone of a training has patches is not known
    here, and is judged when its learner is made.

    Attributes:
        seen: how many views it was given, by call.
    """

    num_features = NUM_FEATURES

    def __init__(self) -> None:
        super().__init__(12, NUM_FEATURES)
        self.patch_embed = nn.Identity()
        self.seen: list[int] = []

    def forward(self, input: Tensor) -> Tensor:
        self.seen.append(len(input))
        return super().forward(input.flatten(1))


def check_contract(learner: Any) -> None:
    """Try a learner around a `TrialBackbone` on the views of `TRIAL_GROUPS`.

    Raises:
        ValueError: which part of the contract it fails, and how.
    """
    name, num_views = type(learner).__name__, len(TRIAL_GROUPS)
    if not isinstance(getattr(learner, "backbone", None), TrialBackbone):
        raise ValueError(f"{name} must keep its backbone as self.backbone")
    views = torch.randn(num_views, 3, 2, 2)
    given = _given(learner, TRIAL_GROUPS)
    try:
        inspect.signature(learner.forward).bind(views, TRIAL_GROUPS, NUM_REAL, **given)
    except TypeError as error:
        taken = ", ".join(["views", "groups", "num_real", *given])
        raise ValueError(f"{name}.forward must take {taken}, and no others without a default: {error}") from error
    output = _asked(learner, views, TRIAL_GROUPS)
    if not isinstance(output, LearnerOutput):
        raise ValueError(f"{name}.forward must give a LearnerOutput, not {_describe(output)}")
    if not _is_tensor(output.loss, ()) or not output.loss.isfinite():
        raise ValueError(f"the loss of {name} must be one finite number, a tensor (), not {_describe(output.loss)}")
    if not _is_tensor(output.hardness, (num_views,)) or output.hardness.requires_grad:
        raise ValueError(
            f"the hardness of {name} must be one number for each view without gradient, for {num_views} views of shape "
            f"({num_views},), not {_describe(output.hardness)}"
        )
    _check_embeddings(f"{name}.forward", output.embeddings)
    if output.embeddings.requires_grad:
        raise ValueError(f"the embeddings that {name}.forward gives must be without gradient: detach them")
    _check_embeddings(f"{name}.embed", _tried(learner, "embed", lambda: learner.embed(views)))
    if not output.loss.requires_grad:
        raise ValueError(f"no gradient goes from the loss of {name} to its backbone")
    _tried(learner, "forward", output.loss.backward)
    if learner.backbone.weight.grad is None or not learner.backbone.weight.grad.any():
        raise ValueError(f"no gradient goes from the loss of {name} to its backbone")
    _check_places(learner, views)
    _tried(learner, "after_step", lambda: learner.after_step(0.5))


def _check_places(learner: Learner, views: Tensor) -> None:
    """Raises ValueError if the hardness of a view changes when its image changes places with others, as that of one
    that takes for positives what stand at other places than in `TRIAL_GROUPS`. What draws random numbers is not
    judged."""
    moved = torch.cat((torch.arange(NUM_REAL).roll(2), torch.arange(NUM_REAL, len(TRIAL_GROUPS)).roll(4)))
    with learner.extra_pass():
        found = [_asked(learner, views, TRIAL_GROUPS, seed).hardness for seed in (0, 1)]
        there = _asked(learner, views[moved], TRIAL_GROUPS[moved], 0).hardness
    if torch.equal(*found) and not torch.allclose(there, found[0][moved], rtol=1e-3, atol=1e-4):
        raise ValueError(
            f"the hardness of a view changes in {type(learner).__name__} when its image changes places with others: "
            "views of one image stand one after the other, two and two of real images and then four and four of "
            "latents; take the positives of a view from `groups`"
        )


def unheeded(learner_class: Callable[..., Learner], *, weighs_views: bool = True) -> list[str]:
    """Which of the options that every learner takes do not act on a class, though nothing in it refuses them.

    torch's global generator is seeded.

    Args:
        learner_class: makes the learner around a backbone; it takes `num_parts` and `synthetic`.
        weighs_views: whether the class takes a weight of synthetic views.

    Returns:
        Of "num_parts", "weight" and "own_statistics" (see `SyntheticTerms`).
    """

    def tried(num_parts: int = 1, **terms: Any) -> tuple[Tensor, int]:
        """The loss, and how many views the backbone had at once."""
        torch.manual_seed(0)
        backbone = TrialBackbone()
        learner = learner_class(backbone, num_parts=num_parts, synthetic=SyntheticTerms(**terms))
        views = torch.randn(len(TRIAL_GROUPS), 3, 2, 2)
        return _asked(learner, views, TRIAL_GROUPS, 0).loss.detach(), max(backbone.seen)

    found = []
    if tried(num_parts=2)[1] == len(TRIAL_GROUPS):
        found.append("num_parts")
    if weighs_views and torch.equal(tried(weight=0.0)[0], tried(weight=4.0)[0]):
        found.append("weight")
    if tried(own_statistics=True)[1] == len(TRIAL_GROUPS):
        found.append("own_statistics")
    return found


def _given(learner: Learner, groups: Tensor) -> dict[str, Any]:
    """What `forward` takes besides, by what the class says of itself."""
    given: dict[str, Any] = {"labels": (groups % 2).where(groups < 4, -1)} if learner.uses_labels else {}
    return given | ({"local": None} if learner.takes_local_views else {})


def _asked(learner: Learner, views: Tensor, groups: Tensor, seed: int | None = None) -> LearnerOutput:
    """What a learner makes of views, with torch's random numbers from a seed."""
    if seed is not None:
        torch.manual_seed(seed)
    return _tried(learner, "forward", lambda: learner(views, groups, NUM_REAL, **_given(learner, groups)))


def _tried(learner: Learner, method: str, call: Callable[[], Any]) -> Any:
    """What a call of a method of the user's gives.

    Raises:
        ValueError: it raises something; the message says what, and where.
    """
    try:
        return call()
    except Exception as error:  # a method of the user's may raise anything
        last = traceback.extract_tb(error.__traceback__)[-1]
        raise ValueError(
            f"{type(learner).__name__}.{method} raised {type(error).__name__} when it was tried: {error} "
            f"({last.filename}, line {last.lineno})"
        ) from error


def _check_embeddings(whose: str, embeddings: Any) -> None:
    num_views = len(TRIAL_GROUPS)
    if not isinstance(embeddings, Tensor) or embeddings.shape[:1] != (num_views,) or not _are_unit(embeddings):
        raise ValueError(
            f"{whose} must give embeddings (N, D) of unit length, for {num_views} views of shape ({num_views}, D), "
            f"not {_describe(embeddings)}"
        )


def _is_tensor(value: Any, shape: tuple[int, ...]) -> bool:
    return isinstance(value, Tensor) and value.shape == shape


def _are_unit(embeddings: Tensor) -> bool:
    return embeddings.ndim == 2 and bool(((embeddings.detach().float().norm(dim=1) - 1).abs() < 1e-3).all())


def _describe(value: Any) -> str:
    if isinstance(value, Tensor):
        gradient = ", with gradient" if value.requires_grad else ""
        content = f" ({value.item():g})" if value.numel() == 1 else ""
        return f"{str(value.dtype).removeprefix('torch.')} of shape {tuple(value.shape)}{content}{gradient}"
    return "None" if value is None else f"a {type(value).__name__}"

"""A learner of the user's own: a class that is named as `package.module:Class` and meets the contract of `base`.

The class is checked before it trains, on six views of noise, so that a misunderstanding shows before the first step.
`examples/custom_learner.py` is one to start from.
"""

from __future__ import annotations

import inspect
import re
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from .base import Learner, LearnerOutput
from .recipe import OptimizerRecipe

_SPECIFICATION = re.compile(r"(?P<module>[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*):(?P<name>[A-Za-z_]\w*)")
NUM_FEATURES = 12
"""Features of the backbone that a class is tried with."""


class TrialBackbone(nn.Linear):
    """A backbone of images (N, 3, 2, 2), to try a learner with.

    It has a `patch_embed`, as a vision transformer has: whether the backbone of a training has patches is not known
    here, and is judged when its learner is made.
    """

    num_features = NUM_FEATURES

    def __init__(self) -> None:
        super().__init__(12, NUM_FEATURES)
        self.patch_embed = nn.Identity()

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input.flatten(1))


def load_learner_class(specification: str) -> type[Learner]:
    """The class that `package.module:Class` names. Modules are found where Python finds them, and in the working
    directory, which stays at the end of Python's path for what the class imports later.

    Raises:
        ValueError: no such module or class, a module that fails when it is imported, or a class that is no whole
            learner.
    """
    match = _SPECIFICATION.fullmatch(specification)
    if match is None:
        raise ValueError(f"{specification!r} is not of the form package.module:Class")
    here = str(Path.cwd())
    sys.path.insert(0, here)
    try:
        found = getattr(import_module(match["module"]), match["name"], None)
    except ModuleNotFoundError as error:
        raise ValueError(
            f"no module {error.name!r}, for the learner {specification}: install it, or run from the folder it is in"
        ) from error
    except Exception as error:  # a module of the user's may raise anything
        raise ValueError(f"{specification} could not be imported: {type(error).__name__}: {error}") from error
    finally:
        sys.path.remove(here)
    if here not in sys.path:
        sys.path.append(here)
    if found is None:
        raise ValueError(f"the module {match['module']} has no {match['name']}")
    if not (isinstance(found, type) and issubclass(found, Learner)):
        raise ValueError(f"{specification} must be a subclass of synthcl.learners.Learner")
    if missing := sorted(found.__abstractmethods__):
        raise ValueError(f"{specification} lacks {', '.join(missing)}, which every learner has")
    if not isinstance(getattr(found, "recipe", None), OptimizerRecipe):
        raise ValueError(
            f"{specification} lacks a recipe: the learning rate and the like to start from, an OptimizerRecipe"
        )
    return found


def check_contract(learner: Any) -> None:
    """Try a learner around a `TrialBackbone` on two views each of three images.

    Raises:
        ValueError: which part of the contract it fails, and how.
    """
    name = type(learner).__name__
    if not isinstance(getattr(learner, "backbone", None), TrialBackbone):
        raise ValueError(f"{name} must keep its backbone as self.backbone")
    views, groups = torch.randn(6, 3, 2, 2), torch.tensor([0, 1, 2, 0, 1, 2])
    given: dict[str, Any] = {"labels": groups % 2} if learner.uses_labels else {}
    given |= {"local": None} if learner.takes_local_views else {}
    try:
        inspect.signature(learner.forward).bind(views, groups, 6, **given)
    except TypeError as error:
        taken = ", ".join(["views", "groups", "num_real", *given])
        raise ValueError(f"{name}.forward must take {taken}, and no others without a default: {error}") from error
    output = learner(views, groups, 6, **given)
    if not isinstance(output, LearnerOutput):
        raise ValueError(f"{name}.forward must give a LearnerOutput, not {_describe(output)}")
    if output.loss.shape != () or not output.loss.isfinite():
        raise ValueError(f"the loss of {name} must be one finite number, not {_describe(output.loss)}")
    if output.hardness.shape != (6,) or output.hardness.requires_grad:
        raise ValueError(
            f"the hardness of {name} must be one number for each view without gradient, for 6 views of shape (6,), "
            f"not {_describe(output.hardness)}"
        )
    for what, embeddings in (("forward", output.embeddings), ("embed", learner.embed(views))):
        if embeddings.ndim != 2 or len(embeddings) != 6 or not _are_unit(embeddings):
            raise ValueError(
                f"{name}.{what} must give embeddings (N, D) of unit length, for 6 views of shape (6, D), "
                f"not {_describe(embeddings)}"
            )
    if not output.loss.requires_grad:
        raise ValueError(f"no gradient goes from the loss of {name} to its backbone")
    output.loss.backward()
    if learner.backbone.weight.grad is None or not learner.backbone.weight.grad.any():
        raise ValueError(f"no gradient goes from the loss of {name} to its backbone")
    learner.after_step(0.5)


def _are_unit(embeddings: Tensor) -> bool:
    return bool(((embeddings.detach().float().norm(dim=1) - 1).abs() < 1e-3).all())


def _describe(value: Any) -> str:
    if isinstance(value, Tensor):
        gradient = ", with gradient" if value.requires_grad else ""
        content = f" ({value.item():g})" if value.numel() == 1 else ""
        return f"{str(value.dtype).removeprefix('torch.')} of shape {tuple(value.shape)}{content}{gradient}"
    return f"a {type(value).__name__}"

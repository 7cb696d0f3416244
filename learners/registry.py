"""Which learners and backbones there are, by name. Imports no torch: what stands behind a name is imported on use."""

from __future__ import annotations

import difflib
import importlib
import inspect
import re
import sys
import typing
from collections.abc import Collection, Iterable, Sequence
from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from .recipe import OptimizerRecipe

if TYPE_CHECKING:
    from torch import nn

    from .base import Learner, SyntheticTerms

LEARNERS = {
    "simclr": ".simclr:SimCLR",
    "moco": ".moco:MoCo",
    "mocov3": ".mocov3:MoCoV3",
    "nnclr": ".nnclr:NNCLR",
    "dino": ".dino:DINO",
    "supcon": ".supcon:SupCon",
    "byol": ".byol:BYOL",
    "simsiam": ".simsiam:SimSiam",
    "barlow": ".barlow:BarlowTwins",
    "vicreg": ".vicreg:VICReg",
}
"""Name -> "module:Class" of a `Learner` whose options are keyword-only arguments. A class of the user's needs no entry:
it is named as `package.module:Class` (see `custom`)."""

BACKBONES = {
    "resnet10": ".backbones:resnet10",
    "resnet18": ".backbones:resnet18",
    "resnet34": ".backbones:resnet34",
    "resnet50": ".backbones:resnet50",
}
"""Name -> "module:function" that takes `image_size` and `width`. `NAME-wN` asks for width N instead of 64."""

TIMM_PREFIX = "timm:"
COMMON_OPTIONS = ("num_parts", "synthetic")
"""What every learner takes besides its own options; see `Learner`."""


def learner_names() -> list[str]:
    """The names that `create_learner` takes."""
    return list(LEARNERS)


def backbone_names() -> list[str]:
    """The names that `create_backbone` takes; besides these, `NAME-wN` (another width) and `timm:NAME`."""
    return list(BACKBONES)


def learner_options(name: str) -> dict[str, Any]:
    """The options of learner `name` and their defaults."""
    return _options(_learner_class(name))


def learner_option_types(name: str) -> dict[str, Any]:
    """The types of the options of learner `name`, as its class declares them, or else as their defaults have them."""
    learner_class = _learner_class(name)
    parameters = [p for p in inspect.signature(learner_class).parameters.values() if p.name in _options(learner_class)]
    declared = {p.name: p.annotation for p in parameters if p.annotation is not inspect.Parameter.empty}
    # Of these alone: what the others are declared with may be imported for type checkers only.
    holder = SimpleNamespace(__annotations__=declared)
    hints = typing.get_type_hints(holder, vars(sys.modules[learner_class.__module__]))
    return {p.name: hints.get(p.name, Any if p.default in (None, p.empty) else type(p.default)) for p in parameters}


def check_option_names(name: str, given: Iterable[str], *, but: Collection[str] = ()) -> None:
    """Whether learner `name` has all these options, `but` taken as none of its own.

    Raises:
        ValueError: for the first that it does not have; the message lists those that it has.
    """
    known = {option: default for option, default in learner_options(name).items() if option not in but}
    for option in given:
        if option not in known:
            shown = ", ".join(f"{known_name} ({default!r})" for known_name, default in known.items()) or "none"
            raise ValueError(f"{name} has no option {option!r}{_hint(option, known)}. It has, with defaults: {shown}.")


def check_learner(name: str, **options: Any) -> None:
    """Make learner `name` with these options around a small backbone, and drop it; a user's own class is tried too.

    torch's global generator stays as it is.

    Raises:
        ValueError: as `create_learner`, or a class of the user's that is no learner.
    """
    import torch

    from .trial import TrialBackbone, check_contract

    with torch.random.fork_rng(devices=[]):
        learner = create_learner(name, TrialBackbone(), **options)
        if name not in LEARNERS:
            check_contract(learner)


def unheeded_options(name: str, **options: Any) -> list[str]:
    """Which of `COMMON_OPTIONS` a class of the user's leaves without effect, by the names that `trial.unheeded` gives;
    none of a learner of this package.

    torch's global generator stays as it is.

    Raises:
        ValueError: as `check_learner`.
    """
    if name in LEARNERS:
        return []
    import torch

    from .trial import unheeded

    with torch.random.fork_rng(devices=[]):
        return unheeded(partial(create_learner, name, **options), weighs_views=learner_weights_views(name))


def learner_source(name: str) -> str | None:
    """What two versions of the code of learner `name` are told apart by, 16 hex digits of its module's source; None of
    a learner of this package, whose version is recorded."""
    return None if name in LEARNERS else _load(".custom:source_hash")(_learner_class(name))


def learner_recipe(name: str) -> OptimizerRecipe:
    """How learner `name` is trained by default."""
    return _learner_class(name).recipe


def learner_uses_labels(name: str) -> bool:
    """Whether learner `name` learns from the labels of images."""
    return _learner_class(name).uses_labels


def learner_weights_views(name: str) -> bool:
    """Whether the loss of learner `name` is a mean over views, so that synthetic ones can be weighted."""
    return _learner_class(name).loss_of_each_view


def learner_takes_local_views(name: str) -> bool:
    """Whether learner `name` takes small views besides the others."""
    return _learner_class(name).takes_local_views


def create_learner(
    name: str,
    backbone: nn.Module,
    *,
    num_parts: int = 1,
    synthetic: SyntheticTerms | None = None,
    **options: Any,
) -> Learner:
    """A learner around `backbone`, with untrained weights drawn from torch's global generator.

    Args:
        name: one of `learner_names()`, or `package.module:Class`.
        backbone: images (N, 3, H, W) to features (N, F), with `num_features` = F.
        num_parts, synthetic: see `Learner`.
        options: those of `learner_options(name)`.

    Raises:
        ValueError: for an unknown name or option, or a value outside its range; the message lists what there is.
    """
    learner_class: Any = _learner_class(name)  # methods take a backbone, and options of their own
    check_option_names(name, options)
    try:
        return learner_class(backbone, num_parts=num_parts, synthetic=synthetic, **options)
    except ValueError:  # of an option; it says which
        raise
    except Exception as error:  # a class of the user's may raise anything
        if name in LEARNERS:
            raise
        raise ValueError(f"{name} could not be made: {type(error).__name__}: {error}") from error


def create_backbone(name: str, *, image_size: int, other_sizes: Sequence[int] = ()) -> nn.Module:
    """An untrained encoder of images (N, 3, image_size, image_size) to features (N, F), with `num_features` = F.

    Args:
        name: one of `backbone_names()`, `NAME-wN` for N instead of 64 channels in the first stage, or `timm:NAME` for
            any model of the optional package timm.
        image_size: pixels a side. Up to 64 the residual nets take the stem for small images.
        other_sizes: pixels a side of other images that it is to take too, with the same weights.

    Raises:
        ValueError: for an unknown name (the message lists the names), an image size below 1, a timm model that cannot
            take images of these sizes, or timm not being installed.
    """
    if image_size < 1:
        raise ValueError(f"image_size must be at least 1, not {image_size}.")
    if name.startswith(TIMM_PREFIX):
        create_timm_backbone = _load(".timm_backbones:create_timm_backbone")
        return create_timm_backbone(name.removeprefix(TIMM_PREFIX), image_size=image_size, other_sizes=other_sizes)
    base, width = _base_and_width(name)
    return _load(BACKBONES[base])(image_size=image_size, width=width)


def check_backbone_name(name: str) -> None:
    """Refuse a name that `create_backbone` does not know, without torch; which models timm has is not looked up.

    Raises:
        ValueError: it is none; the message lists the names.
    """
    if not name.startswith(TIMM_PREFIX):
        _base_and_width(name)


def _base_and_width(name: str) -> tuple[str, int]:
    """Of `resnet10-w16`, resnet10 and 16."""
    parsed = re.fullmatch(r"(?P<base>.*?)(?:-w(?P<width>[1-9]\d*))?", name, re.DOTALL)
    assert parsed is not None, "any name has this form"
    base, width = parsed["base"], parsed["width"]
    if base not in BACKBONES:
        choices = ", ".join(BACKBONES)
        raise ValueError(
            f"Unknown backbone {name!r}{_hint(base, BACKBONES)}. There are: {choices}; NAME-wN for N instead of 64 "
            f"channels in the first stage (resnet10-w16); {TIMM_PREFIX}NAME for any model of timm."
        )
    return base, int(width or 64)


def _learner_class(name: str) -> type[Learner]:
    if ":" in name:
        return _load(".custom:load_learner_class")(name)
    if name not in LEARNERS:
        raise ValueError(
            f"Unknown learner {name!r}{_hint(name, LEARNERS)}. There are: {', '.join(LEARNERS)}; and "
            "package.module:Class for one of your own."
        )
    return _load(LEARNERS[name])


def _options(learner_class: type[Learner]) -> dict[str, Any]:
    parameters = inspect.signature(learner_class).parameters.values()
    own = (p for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY and p.name not in COMMON_OPTIONS)
    return {p.name: p.default for p in own}


def _load(target: str) -> Any:
    module, _, attribute = target.partition(":")
    return getattr(importlib.import_module(module, __package__), attribute)


def _hint(name: str, names: Any) -> str:
    near = difflib.get_close_matches(name, names, n=1)
    return f" (did you mean {near[0]!r}?)" if near else ""

"""The arms of a comparison: a name, a regime, and options of `train` that hold in this arm alone. Imports no torch.

A regime is an arm without options of its own. In text an arm is `NAME: REGIME OPTIONS`, as `--arm` takes it; in YAML it
is a name with a mapping:

    arm:
      online-nohard: {regime: online, hard: false}
"""

from __future__ import annotations

import argparse
import dataclasses
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from ..errors import UsageError
from ..options.types import default_of, did_you_mean, flag, option_types
from .concerns import concerns, meaningless
from .recipes import RECIPES
from .regimes import BASELINE, REGIMES
from .train import TrainConfig

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,39}")
"""What an arm may be called: a folder has its name."""
UNTRAINED = "untrained"
"""The name of untrained weights, beside the arms."""
EQUAL_VIEWS = re.compile(rf"{BASELINE}-(equal|[1-9][0-9]?)-views")
"""Real images alone, each in more views: `real-4-views`, or `real-equal-views`, as many as the synthetic arms have."""
OWN = {"out", "seed", "record"}
"""What the comparison itself gives each run, and an arm cannot."""


class Arm(NamedTuple):
    """One arm.

    Attributes:
        name: in tables, plots and folders.
        regime: where its synthetic samples come from.
        options: of `train`, by name: what it declares to have different from the others.
        free: whether it is a label of runs that exist, which may differ in whatever has a meaning in some regimes only.
    """

    name: str
    regime: str
    options: Mapping[str, Any] = {}
    free: bool = False

    @property
    def plain(self) -> bool:
        """Whether it is the regime itself."""
        return self.name == self.regime and not self.options

    @property
    def other_views(self) -> bool:
        """Whether it is real images alone in a number of views of its own."""
        return self.regime == BASELINE and set(self.options) == {"views_per_image"}

    def more_views(self, than: int) -> bool:
        """Whether it is real images alone in more views than others have of each."""
        return self.other_views and self.options["views_per_image"] > than

    @property
    def declares(self) -> set[str]:
        """The options that may have other values in its runs than in those of other arms."""
        if self.free:
            return {f.name for f in dataclasses.fields(TrainConfig) if f.metadata["option"].concerns}
        recipe = self.options.get("recipe")
        return {*self.options, *(RECIPES[recipe] if recipe is not None else ())}

    @property
    def flags(self) -> str:
        """Its options as they are typed, with spaces between."""
        return shlex.join(word for name, value in self.options.items() for word in _words(name, value))

    @property
    def text(self) -> str:
        """As `--arm` takes it."""
        return " ".join(part for part in (f"{self.name}:", self.regime, self.flags) if part)

    def to_dict(self) -> dict[str, Any]:
        """As YAML has it."""
        return {"regime": self.regime, **self.options}


def arm_texts(given: Any) -> Any:
    """Arms in any of the forms that a YAML file or Python may give them in, as a list of texts; what is none of these
    forms as it is, to be refused as any value of the wrong type."""
    if isinstance(given, Mapping):
        return [_text(name, value) for name, value in given.items()]
    if isinstance(given, (list, tuple)):
        return [text for one in given for text in (arm_texts(one) if isinstance(one, Mapping) else [one])]
    return given


def _text(name: Any, value: Any) -> str:
    if value is None or isinstance(value, str):
        return f"{name}: {value or ''}"
    if not isinstance(value, Mapping):
        raise UsageError(f"--arm {name} takes options of train, such as {{regime: online, hard: false}}, not {value!r}")
    values = {str(key).replace("-", "_"): one for key, one in value.items()}
    regime = values.pop("regime", "")
    words = [word for key, one in values.items() if one is not None for word in _words(key, one)]
    return f"{name}: {shlex.join([*([str(regime)] if regime else []), *words])}"


def typed(name: str, value: Any) -> str:
    """An option as it is typed, or that it is not given."""
    return f"no {flag(name)}" if value is None or value == [] else shlex.join(_words(name, value))


def _words(name: str, value: Any) -> list[str]:
    """An option as it is typed, word by word."""
    if isinstance(value, bool):
        return [flag(name if value else f"no_{name}")]
    return [word for one in (value if isinstance(value, (list, tuple)) else [value]) for word in (flag(name), str(one))]


def parse_arms(texts: Iterable[str]) -> list[Arm]:
    """The arms that `--arm` names.

    Raises:
        UsageError: a text that is no arm, an option that `train` has not, or a name that is given twice.
    """
    arms: dict[str, Arm] = {}
    for text in texts:
        arm = parse_arm(text)
        if arm.name in arms:
            raise UsageError(f"--arm {arm.name} is given twice; each arm has a name of its own")
        arms[arm.name] = arm
    return list(arms.values())


def parse_arm(text: str) -> Arm:
    """An arm from `NAME: REGIME OPTIONS`. The regime may be left out where an option chooses it, as in `train`."""
    name, colon, words = text.partition(":")
    name = name.strip()
    if not colon or not NAME.fullmatch(name):
        raise UsageError(
            f"--arm {text!r} is no arm; give a name of letters, digits and -, then options of train, such as "
            "'online-nohard: --online --no-hard'"
        )
    _check_free(f"--arm {name}", name)
    try:
        split = shlex.split(words)
    except ValueError as error:
        raise UsageError(f"--arm {name}: {error} in {words.strip()!r}") from None
    given = vars(_parser(name).parse_args(split))
    regime = _take_regime(name, given)
    if name in REGIMES and name != regime:
        raise UsageError(f"--arm {name} is of the regime {regime}; the name of a regime is for that regime")
    return Arm(name, regime, given)


def _check_free(given: str, name: str) -> None:
    """Raises UsageError for a name that no arm can have."""
    if name == UNTRAINED:
        raise UsageError(
            f"{given}: {name} is the name of untrained weights, which every comparison has; give another name"
        )


class _Parser(argparse.ArgumentParser):
    """Parses the options of `train`, with errors that name the arm."""

    def error(self, message: str) -> NoReturn:
        unknown = re.fullmatch(r"unrecognized arguments: (--(?:no-)?(\S+).*)", message)
        if unknown:
            name = unknown[1].split()[0].split("=")[0]
            if name in map(flag, OWN):
                message = f"{name} is the comparison's to give, and no arm's own; leave it out"
            else:
                message = f"train has no option {name}{did_you_mean(name, self._option_string_actions)}"
        raise UsageError(f"--arm {self.prog}: {message}")


def _parser(name: str) -> _Parser:
    parser = _Parser(prog=name, add_help=False, allow_abbrev=False, argument_default=argparse.SUPPRESS)
    parser.add_argument("regime", nargs="?")
    for option, wanted in option_types(TrainConfig).items():
        if option in OWN:
            continue
        if wanted.kind is bool:
            parser.add_argument(flag(option), dest=option, action=argparse.BooleanOptionalAction)
        else:
            action = "append" if wanted.multiple else "store"
            parser.add_argument(flag(option), dest=option, type=wanted.kind, action=action)
    return parser


def _take_regime(name: str, given: dict[str, Any]) -> str:
    """The regime of an arm; what only chooses it is taken out of its options."""
    regime = given.pop("regime", None)
    if regime is not None and regime not in REGIMES:
        raise UsageError(
            f"--arm {name}: there is no regime {regime!r}{did_you_mean(regime, REGIMES)}; they are {', '.join(REGIMES)}"
        )
    chosen = [entry.name for entry in REGIMES.values() if entry.selected_by and given.get(entry.selected_by)]
    named = list(dict.fromkeys([*([regime] if regime is not None else []), *chosen]))
    if len(named) > 1:
        raise UsageError(f"--arm {name} is of {' and of '.join(named)}; an arm has one regime")
    denied = REGIMES[regime].selected_by if regime is not None else None
    if denied is not None and given.get(denied) is False:
        raise UsageError(f"--arm {name} is of {regime}, and has {flag(f'no_{denied}')}; leave out one of the two")
    for entry in REGIMES.values():
        if entry.selected_by and isinstance(given.get(entry.selected_by), bool):
            del given[entry.selected_by]
    return named[0] if named else BASELINE


def ready_arm(name: str, synthetic_ratio: float, views_per_image: int, images_per_latent: int) -> Arm:
    """The regime or ready arm of a name.

    Args:
        name: of a regime, or `real-equal-views` or `real-N-views`.
        synthetic_ratio, views_per_image: of the other arms.
        images_per_latent: 2 where they have pairs.

    Raises:
        UsageError: there is none of that name.
    """
    if name in REGIMES:
        return Arm(name, name)
    found = EQUAL_VIEWS.fullmatch(name)
    if found is None:
        raise UsageError(
            f"--regimes: there is no regime {name!r}{did_you_mean(name, REGIMES)}; they are {', '.join(REGIMES)}, and "
            f"{BASELINE}-equal-views for real images in as many views as the others have"
        )
    if found[1] == "equal":
        number = equal_views(synthetic_ratio, views_per_image, images_per_latent)
    else:
        number = int(found[1])
    return Arm(name, BASELINE, {"views_per_image": number})


def equal_views(synthetic_ratio: float, views_per_image: int, images_per_latent: int) -> int:
    """Views of each real image that make as many views a step as a step of a synthetic regime has.

    For B real images in v views each, a synthetic step has B v (1 + r k) views: r latents a real image, of k images
    each. Rounded where that is no whole number for each image.
    """
    return max(2, round(views_per_image * (1 + synthetic_ratio * images_per_latent)))


def needs_set(arm: Arm) -> bool:
    """Whether an arm reads the comparison's own shard set."""
    entry = REGIMES[arm.regime]
    return entry.source == "set" and entry.selected_by not in arm.options


def check_alike(images_per_latent: Mapping[str, int], synthetic_ratio: float, views_per_image: int) -> None:
    """Raises UsageError if regimes differ in images of a latent, so that no number of views is that of all."""
    if len(set(images_per_latent.values())) > 1:
        found = ", ".join(f"{name} has {number}" for name, number in images_per_latent.items())
        views = sorted({equal_views(synthetic_ratio, views_per_image, number) for number in images_per_latent.values()})
        raise UsageError(
            f"--regimes {BASELINE}-equal-views: the regimes differ in images of a latent ({found}); name "
            f"{' or '.join(f'{BASELINE}-{number}-views' for number in views)}"
        )


def check_names(arms: Sequence[Arm], joined: bool) -> None:
    """Raises UsageError unless there are two arms or more, or one and runs that join it, each with its own name."""
    names = [arm.name for arm in arms]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UsageError(f"--arm {twice[0]} has the name of one in --regimes; give it another, or leave that out there")
    if len(names) < (1 if joined else 2):
        raise UsageError(f"--regimes leaves nothing to compare: {', '.join(names) or 'none'}; name two arms or more")


def arm_values(shared: Mapping[str, Any], arm: Arm, sources: Mapping[str, Any]) -> TrainConfig:
    """The options of a training of an arm.

    Args:
        shared: what all arms have the same, by name; what means nothing in this arm is left out.
        arm: whose own options win.
        sources: where its samples come from, and what else its run is given.

    Raises:
        UsageError: options of the arm that train refuses, or that mean nothing in its regime.
    """
    fields = {f.name: f for f in dataclasses.fields(TrainConfig)}
    for name, value in arm.options.items():
        if not concerns(fields[name], [arm.regime]):
            raise UsageError(f"--arm {arm.name}: {meaningless(fields[name], value, [arm.regime])}")
    # Of the shared ones, those that were given: a recipe of the arm sets what is left at its default.
    values = {n: v for n, v in shared.items() if concerns(fields[n], [arm.regime]) and v != default_of(fields[n])}
    for one, other in (("epochs", "steps"), ("steps", "epochs")):
        if one in arm.options:
            values.pop(other, None)
    values |= {**sources, **arm.options}
    values = {name: v for name, v in values.items() if name in arm.options or not unmet(fields[name], values)}
    try:
        config = TrainConfig.from_values(values)
    except UsageError as error:
        raise UsageError(f"--arm {arm.name}: {error}" if arm.options else str(error)) from None
    assert config.regime == arm.regime, f"{arm.name} would train as {config.regime}: sources must choose {arm.regime}"
    return config


def unmet(f: dataclasses.Field, values: Mapping[str, Any]) -> bool:
    """Whether an option lacks another that gives it a meaning, beside these values and the defaults of the others."""
    known = {other.name: default_of(other) for other in dataclasses.fields(TrainConfig)}
    return f.metadata["option"].unmet_need({**known, **values}) is not None


def read_label(text: str) -> tuple[str | None, str]:
    """Label and folder of `--run LABEL=DIR`, or None and the folder of `--run DIR`.

    Raises:
        UsageError: the label is that of untrained weights.
    """
    label, equals, folder = text.partition("=")
    if not equals or not NAME.fullmatch(label) or Path(text).exists():
        return None, text
    _check_free(f"--run {text}", label)
    return label, folder


def label_arm(label: str, run: TrainConfig, declared: Mapping[str, Arm]) -> Arm:
    """The arm of a run that exists.

    Args:
        label: as it was given, or the name of the regime.
        run: its options.
        declared: what `--arm` says of labels.

    Raises:
        UsageError: the label is of another regime.
    """
    if label in declared:
        arm = declared[label]
    elif label in REGIMES:
        arm = Arm(label, label)
    elif found := EQUAL_VIEWS.fullmatch(label):
        number = run.views_per_image if found[1] == "equal" else int(found[1])
        arm = Arm(label, BASELINE, {"views_per_image": number})
    else:
        arm = Arm(label, run.regime, free=True)
    if arm.regime != run.regime:
        raise UsageError(f"--run {label}={run.out} is of the regime {run.regime}, and {label} is of {arm.regime}")
    return arm


def find_reference(reference: str, names: Sequence[str]) -> str:
    """The arm that the others are judged against: `reference`, or the first where that is `real` and not compared.

    Args:
        reference: the value of --reference.
        names: of the arms, in their order.

    Raises:
        UsageError: it is none of them.
    """
    if reference in names:
        return reference
    if reference == BASELINE:
        return names[0]
    raise UsageError(f"--reference {reference!r} is none of the arms; they are {', '.join(names)}")


def find_pair(option: str, text: str, names: Sequence[str], reference: str) -> tuple[str, str]:
    """The two arms of `A-B`, whose names may hold hyphens.

    Raises:
        UsageError: it names no two of the arms, or takes something off the reference, which others are judged against.
    """
    parts = text.split("-")
    pairs = [("-".join(parts[:i]), "-".join(parts[i:])) for i in range(1, len(parts))]
    found = [pair for pair in pairs if pair[0] in names and pair[1] in names and pair[0] != pair[1]]
    if not found or found[0][0] == reference:
        other = next(name for name in reversed(names) if name != reference)
        raise UsageError(
            f"{option} {text!r} is no comparison that is made: it takes an arm and the one to take off, such as "
            f"{other}-{reference}; the arms are {', '.join(names)}"
        )
    return found[0]

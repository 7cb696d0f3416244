"""Options by name: COMMAND/NAME.yaml here is what `synthcl COMMAND --config NAME` takes.

Each says at its head what it is for, how long it takes on which hardware, and what came out.
"""

from __future__ import annotations

from pathlib import Path, PurePath

from ...errors import UsageError
from ...options.types import did_you_mean

HOME = Path(__file__).parent
PER_LEARNER = "imagenet100-"
"""What the names of presets of `train` begin with that there is one of for each learner."""


def preset_names(command: str) -> list[str]:
    """The presets of a command, such as `train`; [] where it has none."""
    return sorted(file.stem for file in (HOME / command).glob("*.yaml"))


def preset_families(command: str) -> list[str]:
    """The same for `--help`: those of each learner as one, `imagenet100-LEARNER`."""
    return sorted({f"{PER_LEARNER}LEARNER" if n.startswith(PER_LEARNER) else n for n in preset_names(command)})


def preset_summary(command: str, name: str) -> str:
    """What a preset is, in a sentence: the first line of its file."""
    return (HOME / command / f"{name}.yaml").read_text().splitlines()[0].removeprefix("# ")


def find_options(command: str, given: str) -> Path:
    """The file that `--config` names: one that is there, or a preset of the command.

    Raises:
        UsageError: it is neither. What looks like a file's name is left to be opened.
    """
    names = preset_names(command)
    if Path(given).is_file() or PurePath(given).suffix or len(PurePath(given).parts) != 1 or not names:
        return Path(given)
    if given in names:
        return HOME / command / f"{given}.yaml"
    raise UsageError(
        f"--config {given} is neither a file nor a preset of {command}{did_you_mean(given, names)}; its presets are "
        f"{', '.join(names)}"
    )

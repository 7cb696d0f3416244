"""What a location on the Hugging Face hub names, as files here: fetched into the hub client's own cache.

Only files that hold data are fetched: no code, and nothing that runs code when it is read.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from contextlib import suppress
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from huggingface_hub import HfApi, constants, snapshot_download
from huggingface_hub.utils import disable_progress_bars

from ..errors import DataError
from ..progress.line import announce
from .client import hub_errors
from .locations import HubLocation, parse_location

MODEL_FILES = ("*.safetensors", "*.json", "*.txt", "*.model")
"""What models are read from: weights, configurations, vocabularies."""
WEIGHTS = ("*.safetensors",)
"""Those of them without which there is no model."""
PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")
"""Files that run code as they are read."""


@functools.cache
def fetch(text: str, kinds: tuple[tuple[str, ...], ...], wanted: str, core: tuple[str, ...] = ()) -> Path:
    """The folder, file or pattern that a location names, here.

    Fetched once in a process, so that it sees one state of the repository.

    Args:
        text: `hf://[datasets/]USER/NAME[@REVISION][/PATH]`.
        kinds: names of files of each kind, such as `*.tar`; those of the first kind of which there are any are fetched.
        wanted: what they are, for the error if there are none.
        core: names of those of them that there must be some of; any will do if not given.

    Raises:
        UsageError: a malformed location.
        DataError: the hub refuses or cannot be reached, or it holds no such files.
    """
    location = parse_location(text)
    announce(f"fetching {text}")
    disable_progress_bars()  # a command has its own
    for patterns in kinds:
        with hub_errors("cannot read", text):
            folder = Path(
                snapshot_download(
                    location.repository,
                    repo_type=location.kind,
                    revision=location.revision,
                    allow_patterns=_below(location.path, patterns),
                )
            )
        if any(path.is_file() and _fits(path.name, core or patterns) for path in _found(folder, location.path)):
            return folder / location.path
    raise DataError(_nothing(location, text, wanted))


def _below(path: str, patterns: Iterable[str]) -> list[str]:
    """What to fetch of a repository, as the hub's client matches it: `*` stands for slashes too."""
    if not path:
        return list(patterns)
    if _fits(path, patterns):
        return [path]
    if any(character in path for character in "*?["):
        return [path + pattern.removeprefix("*") for pattern in patterns if pattern.startswith("*")]
    return [f"{path}/{pattern}" for pattern in patterns]


def _found(folder: Path, path: str) -> Iterable[Path]:
    """The files here that a path, a folder or a pattern names."""
    if not path:
        return folder.rglob("*")
    whole = folder / path
    return whole.rglob("*") if whole.is_dir() else folder.glob(path)


def _fits(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _nothing(location: HubLocation, text: str, wanted: str) -> str:
    """What is there instead."""
    with suppress(Exception):  # a sentence without examples, if the hub cannot be asked
        files = HfApi().list_repo_files(location.repository, repo_type=location.kind, revision=location.revision)
        inside = [file for file in files if file.startswith(location.path)]
        unread = [file for file in inside if PurePosixPath(file).suffix in (*PICKLES, ".py")]
        if unread:
            return (
                f"{text} holds no {wanted}; it has {', '.join(unread[:3])}, but neither code nor pickles from the hub "
                "are run or read here"
            )
        if inside:
            return f"{text} holds no {wanted}; it has {', '.join(inside[:3])}"
    return f"{text} holds no {wanted}; look at what there is on {constants.ENDPOINT}"

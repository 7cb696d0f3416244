"""Generators on disk: opened to draw from, and saved by a run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from ...generators import Generator, GeneratorTrainer, OptionError, load_generator
from ...generators.errors import UnknownOptionError
from ..errors import UsageError
from ..files import write_folder
from ..options.types import flag
from ..runtime.precision import generator_precision
from .locating import locate_generator


def open_generator(
    source: str, device: torch.device | str = "cpu", precision: str = "auto", **options: Any
) -> Generator:
    """A generator to draw from, frozen.

    Args:
        source: a run of `pretrain` or `train`, a generator's folder, a hub id, or `module:Class`.
        device: where to.
        precision: what it computes in, as --generator-precision.
        options: of the kind, such as `sampler`; see `load_generator`.

    Raises:
        UsageError: its kind does not take an option, or not with that value; or a precision that the device lacks.
        DataError: a run that has none.
        ValueError: there is none.
    """
    computes_in = generator_precision(precision, device)
    with generator_options():
        generator = load_generator(locate_generator(source), **options)
    generator.computes_in = computes_in
    return generator.to(device).eval().requires_grad_(False)


TYPED = {"precision": "generator_precision"}
"""The options of every command that draws from a generator or trains one, by what generators and their trainers call
them, where that is another name."""


@contextmanager
def generator_options(typed: Mapping[str, str] | None = None) -> Iterator[None]:
    """Has an option that a generator does not take be wrong usage, named as it was typed.

    Args:
        typed: beside `TYPED`, by what a generator or its trainer calls an option, the name of the command's where that
            is another.
    """
    try:
        yield
    except OptionError as error:
        raise UsageError(in_flags(error, typed)) from None


def in_flags(error: ValueError, typed: Mapping[str, str] | None = None) -> str:
    """What an error of a generator's options says, with options that it does not have as flags; see
    `generator_options`."""
    if not isinstance(error, UnknownOptionError):
        return str(error)
    names = [flag({**TYPED, **(typed or {})}.get(name, name)) for name in error.unknown]
    return f"{', '.join(names)} cannot be given here: a {error.what} takes no such option"


def save_generator(trainer: GeneratorTrainer, run: Path) -> None:
    """Put what `load_generator` opens into a run's folder, whole or not at all."""
    write_folder(run / "generator", lambda folder: trainer.save_pretrained(folder))

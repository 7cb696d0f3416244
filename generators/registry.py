"""The kinds of generators, by name: what trains each and what opens it. Importable without torch.

A new kind is an entry here, its module, and nothing else: the contract tests run over the table.
"""

from __future__ import annotations

import inspect
import json
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from .base import Generator, GeneratorTrainer


class Kind(NamedTuple):
    """Where a kind's two classes are, as "module:Class" relative to this package.

    A saved generator is known by its class: the name after the colon is the `_class_name` that its `config.json` (a
    model) or `model_index.json` (a pipeline) states.
    """

    trainer: str
    generator: str


GENERATORS: dict[str, Kind] = {
    "gan": Kind(trainer=".gan:GANTrainer", generator=".gan:GANGenerator"),
}


def generator_kinds() -> list[str]:
    """The names that `create_trainer` takes."""
    return list(GENERATORS)


def create_trainer(kind: str, image_size: int, *, preset: str = "auto", **options: Any) -> GeneratorTrainer:
    """A trainer with fresh weights, drawn from torch's global generator, which the caller has seeded.

    Args:
        kind: a name of `GENERATORS`.
        image_size: pixels a side.
        preset: the size of the networks, a name that the kind knows.
        options: keyword arguments of the kind's trainer (`device`, `learning_rate`, ...).

    Raises:
        ValueError: an unknown kind, preset or option, or a size the kind cannot make.
    """
    if kind not in GENERATORS:
        raise ValueError(f"unknown kind of generator {kind!r}: choose from {', '.join(GENERATORS)}")
    trainer = _load(GENERATORS[kind].trainer)
    _check_options(kind, trainer.create, options)
    return trainer.create(image_size, preset=preset, **options)


def load_generator(directory: str | Path, **options: Any) -> Generator:
    """The generator that `save_pretrained` wrote, in evaluation mode.

    Args:
        directory: the folder, with `config.json` or `model_index.json`.
        options: what the kind's `from_pretrained` takes.

    Raises:
        ValueError: a path that does not exist, or a folder that holds no generator.
    """
    return _load(GENERATORS[kind_of(directory)].generator).from_pretrained(str(directory), **options)


def load_trainer(directory: str | Path, **options: Any) -> GeneratorTrainer:
    """A trainer that takes up the generator in `directory` and what was saved beside it, for joint training.

    Args:
        directory: a folder that a trainer's `save_pretrained` wrote.
        options: keyword arguments of the kind's trainer.

    Raises:
        ValueError: a path that does not exist, a folder that holds no generator, or an unknown option.
    """
    kind = kind_of(directory)
    trainer = _load(GENERATORS[kind].trainer)
    _check_options(kind, trainer.from_pretrained, options)
    return trainer.from_pretrained(directory, **options)


def kind_of(directory: str | Path) -> str:
    """The kind of the generator saved in `directory`, from the class that its configuration names.

    Raises:
        ValueError: a path that does not exist, or a folder that holds no generator.
    """
    directory = Path(directory)
    classes = {kind.generator.partition(":")[2]: name for name, kind in GENERATORS.items()}
    expected = f"expected a config.json or model_index.json whose _class_name is one of {', '.join(classes)}"
    if not directory.is_dir():
        state = "is a file" if directory.exists() else "does not exist"
        raise ValueError(f"no generator at {str(directory)!r}: the path {state}; give a folder, as pretraining writes")
    found = [_class_name(directory / name) for name in ("model_index.json", "config.json")]
    for name in found:
        if name in classes:
            return classes[name]
    states = " and ".join(repr(name) for name in found if name) or "nothing of the kind"
    raise ValueError(f"no generator in {str(directory)!r}: {expected}, found {states}")


def _class_name(path: Path) -> str | None:
    """The `_class_name` in a JSON file, or None where there is no such file or no such entry."""
    if not path.is_file():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"no generator in {str(path.parent)!r}: {path.name} is not valid JSON ({error})") from error
    return content.get("_class_name") if isinstance(content, dict) else None


def _load(target: str) -> Any:
    module, _, name = target.partition(":")
    return getattr(import_module(module, __package__), name)


def _check_options(kind: str, factory: Any, options: dict[str, Any]) -> None:
    """Refuse options that the kind's trainer lacks, naming those it has."""
    trainer = factory.__self__
    known = [
        name
        for function in (factory, trainer.__init__)
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY and name != "preset"
    ]
    if unknown := sorted(set(options) - set(known)):
        raise ValueError(f"the {kind} trainer takes no {', '.join(unknown)}: choose from {', '.join(known)}")

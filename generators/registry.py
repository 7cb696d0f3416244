"""The kinds of generators, by name: what trains each and what opens it. Importable without torch.

A new kind is a module and an entry in `GENERATORS`, or in `FROZEN` if it does not learn; the contract tests run over
`GENERATORS`. Pipelines of diffusers that learn are taken up by the kind `diffusion`, which `load_trainer` names.
"""

from __future__ import annotations

import inspect
import json
import re
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from .errors import OptionError, UnknownOptionError

if TYPE_CHECKING:
    from .base import Generator, GeneratorTrainer


class Kind(NamedTuple):
    """Where a kind's two classes are, as "module:Class" relative to this package.

    A saved generator is known by its class: the name after the colon is the `_class_name` that its `config.json` (a
    model) or `model_index.json` (a pipeline) states.

    Attributes:
        trainer: a `GeneratorTrainer`.
        generator: a `Generator`.
        pipelines: the classes of diffusers' pipelines that the trainer takes up too, where they make RGB images.
    """

    trainer: str
    generator: str
    pipelines: tuple[str, ...] = ()


GENERATORS: dict[str, Kind] = {
    "gan": Kind(trainer=".gan:GANTrainer", generator=".gan:GANGenerator"),
    "diffusion": Kind(
        trainer=".diffusion:DiffusionTrainer",
        generator=".diffusion:DiffusionGenerator",
        pipelines=("DDPMPipeline", "DDIMPipeline"),
    ),
}

FROZEN = {"pretrained": ".pretrained:open_generator", "custom": ".custom:load_custom"}
"""What opens the kinds that do not learn: pipelines of diffusers, and classes of the user's."""

LATENT_PIPELINES = ("LDMPipeline", "DiTPipeline", "StableDiffusionPipeline", "StableDiffusionXLPipeline")
LATENT_TRAINER = ".pretrained:PipelineTrainer"
"""Pipelines of diffusers whose diffusion is of latents, and what trains them, which no kind of ours does. Latent
consistency models are left out: the denoising loss would undo what they were distilled to."""

_NOT_FOR_USERS = ("device", "synchronise", "total_steps")
_TRAINABLE_PIPELINES = {
    pipeline: kind.trainer for kind in GENERATORS.values() for pipeline in kind.pipelines
} | dict.fromkeys(LATENT_PIPELINES, LATENT_TRAINER)
"""What takes up each of them."""
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_CUSTOM = re.compile(r"[\w.][\w./-]*:[A-Za-z_]\w*(:.+)?")
"""What is meant for a class, `custom` says of it what is wrong: a module's name has neither - nor / in it."""


def generator_kinds() -> list[str]:
    """The names that `create_trainer` takes."""
    return list(GENERATORS)


def create_trainer(kind: str, image_size: int, *, preset: str = "auto", **options: Any) -> GeneratorTrainer:
    """A trainer with untrained weights, drawn from torch's global generator, which the caller has seeded.

    Args:
        kind: a name of `GENERATORS`.
        image_size: pixels a side.
        preset: the size of the networks and what they are trained with, a name that the kind knows.
        options: keyword arguments of the kind's trainer (`device`, `learning_rate`, ...), which override the preset's.

    Raises:
        ValueError: an unknown kind, preset or option, or a size the kind cannot make.
    """
    if kind not in GENERATORS:
        raise OptionError(f"unknown kind of generator {kind!r}: choose from {', '.join(GENERATORS)}")
    trainer = _load(GENERATORS[kind].trainer)
    _check_options(f"{kind} trainer", trainer.create, options, trainer.__init__)
    return trainer.create(image_size, preset=preset, **options)


def load_generator(source: str | Path, **options: Any) -> Generator:
    """The generator that `save_pretrained` wrote, a pipeline of diffusers, or one of the user's, in evaluation mode.

    Args:
        source: a folder with `config.json` or `model_index.json`, a hub id, or `package.module:Class` (see `custom`).
        options: what the kind's `from_pretrained` takes.

    Raises:
        ValueError: a path that does not exist, a folder that holds no generator, or an option that the kind lacks.
    """
    kind = kind_of(source)
    if kind in FROZEN:
        return _load(FROZEN[kind])(str(source), **options)
    generator = _load(GENERATORS[kind].generator)
    _check_options(f"{kind} generator", generator.from_pretrained, options)
    return _open(generator, source, options)


def load_trainer(source: str | Path, **options: Any) -> GeneratorTrainer:
    """A trainer that takes up the generator in a folder and what was saved beside it, for joint training.

    Args:
        source: a folder that a trainer's `save_pretrained` wrote, or a pipeline of diffusers for RGB images that one
            takes up.
        options: keyword arguments of the kind's trainer.

    Raises:
        ValueError: a path that does not exist, a folder that holds no generator, an unknown option, or a generator that
            does not learn.
    """
    kind = kind_of(source)
    if kind in FROZEN:
        pipeline = _class_name(Path(source) / "model_index.json")
        if pipeline not in _TRAINABLE_PIPELINES:
            raise ValueError(_does_not_learn(source, kind))
        target, kind = _TRAINABLE_PIPELINES[pipeline], pipeline
    else:
        target = GENERATORS[kind].trainer
    trainer = _load(target)
    _check_options(f"{kind} trainer", trainer.from_pretrained, options, trainer.__init__)
    return _open(trainer, source, options)


def kind_of(source: str | Path) -> str:
    """The kind of a generator: a name of `GENERATORS`, `pretrained` or `custom`.

    A folder's is that of the class its configuration names. What is no folder, but has the form of a class or of a hub
    id, is taken for one.

    Raises:
        ValueError: a path that does not exist, or a folder that holds no generator.
    """
    directory = Path(source)
    classes = {kind.generator.partition(":")[2]: name for name, kind in GENERATORS.items()}
    expected = f"expected a config.json or model_index.json whose _class_name is one of {', '.join(classes)}"
    if not directory.is_dir():
        if directory.exists():
            raise ValueError(f"no generator at {str(source)!r}: it is a file; give a folder, as pretraining writes")
        if is_class(source):
            return "custom"
        if _HUB_ID.fullmatch(str(source)):
            return "pretrained"
        raise ValueError(
            f"no generator at {str(source)!r}: the path does not exist; give a folder, as pretraining writes, a hub id "
            "(owner/name) or a class (package.module:Class)"
        )
    found = [_class_name(directory / name) for name in ("model_index.json", "config.json")]
    for name in found:
        if isinstance(name, str) and name in classes:
            return classes[name]
    if found[0]:
        return "pretrained"
    states = " and ".join(repr(name) for name in found if name) or "nothing of the kind"
    raise ValueError(f"no generator in {str(directory)!r}: {expected}, found {states}")


def is_class(source: str | Path) -> bool:
    """Whether a source of `load_generator` is, or is meant for, a class of the user's."""
    return not Path(source).exists() and _CUSTOM.fullmatch(str(source)) is not None


def _does_not_learn(source: str | Path, kind: str) -> str:
    """Why there is no trainer for a generator, and what there is one for."""
    if kind == "pretrained" and not Path(source).is_dir():
        state = f"there is no folder {str(source)!r}, and a pipeline on the hub does not learn"
    else:
        state = f"{str(source)!r} is a {kind} generator, which does not learn: it serves for shards and for --fresh"
    return (
        f"{state}. Joint training takes a folder that pretraining wrote ({' or '.join(GENERATORS)}), or a local folder "
        f"with a {' or '.join(_TRAINABLE_PIPELINES)} for RGB images"
    )


def _class_name(path: Path) -> str | None:
    """The `_class_name` in a JSON file, or None where there is no such file or no such entry."""
    if not path.is_file():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"no generator in {str(path.parent)!r}: {path.name} is not valid JSON ({error})") from error
    return content.get("_class_name") if isinstance(content, dict) else None


def _open(cls: Any, source: str | Path, options: dict[str, Any]) -> Any:
    """`cls.from_pretrained`, with the errors of missing or damaged files as a `ValueError` that names the folder."""
    try:
        return cls.from_pretrained(str(source), **options)
    except OptionError:
        raise
    except (OSError, TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"the generator in {str(source)!r} cannot be opened: {error}") from error


def _load(target: str) -> Any:
    module, _, name = target.partition(":")
    return getattr(import_module(module, __package__), name)


def _check_options(what: str, factory: Any, options: dict[str, Any], *others: Any) -> None:
    """Refuse options that none of these functions has among its keyword-only arguments, naming those they have."""
    known = [
        name
        for function in (factory, *others)
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY and name != "preset"
    ]
    if unknown := sorted(set(options) - set(known)):
        raise UnknownOptionError(what, unknown, [name for name in known if name not in _NOT_FOR_USERS])

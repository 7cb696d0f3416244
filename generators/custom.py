"""A generator of the user's own: a class that is named as `package.module:Class` and meets the contract of `base`.

A specification may end in the folder of its weights, `package.module:Class:weights/`; the generator is then made by
`Class.from_pretrained(folder)`, and by `Class()` otherwise. The class is checked when loaded, with two samples, so
that a misunderstanding shows before the first shard is written. It stays as it is: nothing trains it.
`examples/custom_generator.py` is one to start from.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from importlib import import_module
from numbers import Integral
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from .base import Generator
from .errors import ContractError

_SPECIFICATION = re.compile(r"(?P<module>[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*):(?P<name>[A-Za-z_]\w*)(?::(?P<folder>.+))?")

BATCH_TOLERANCE = 1e-2
"""How far a pixel may move, in [-1, 1], when the same latent comes in another batch: about one of 256 levels. Ours."""


def load_custom(specification: str, **options: Any) -> Generator:
    """The user's generator, in evaluation mode, checked.

    Modules are found where Python finds them, and in the working directory, which stays at the end of Python's path for
    what the class imports later.

    Args:
        specification: `package.module:Class`, or `package.module:Class:folder`.
        options: keyword arguments for the class, or for its `from_pretrained`.

    Raises:
        ValueError: no such module or class, a module that fails when it is imported, a class that cannot be made so, or
            one that does not meet the contract.
    """
    match = _SPECIFICATION.fullmatch(specification)
    if match is None:
        given, _, rest = specification.partition(":")
        instead = f": {hint}" if rest and (hint := _instead(given, rest)) else ""
        raise ValueError(
            f"{specification!r} is not of the form package.module:Class or package.module:Class:folder{instead}"
        )
    cls = _find(match["module"], match["name"])
    make = cls if match["folder"] is None else cls.from_pretrained
    arguments = () if match["folder"] is None else (match["folder"],)
    try:
        generator = make(*arguments, **options)
    except Exception as error:  # a class of the user's may raise anything
        raise ValueError(f"{specification} could not be made: {_told(error)}") from error
    if not isinstance(generator, Generator):
        raise ContractError(f"{match['name']}.from_pretrained must give the generator, not {_describe(generator)}")
    check_contract(generator.eval())
    return generator


def _find(module: str, name: str) -> type[Generator]:
    here = str(Path.cwd())
    sys.path.insert(0, here)
    try:
        imported = import_module(module)
        found = getattr(imported, name, None)  # which may import more
    except ModuleNotFoundError as error:
        hint = _instead(module, name) if f"{module}.".startswith(f"{error.name}.") else ""
        raise ValueError(
            f"no module {error.name!r}, for the generator {module}:{name}: "
            + (hint or "install it, or run from the folder it is in")
        ) from error
    except Exception as error:  # a module of the user's may raise anything
        raise ValueError(f"{module}:{name} could not be imported: {_told(error)}") from error
    finally:
        sys.path.remove(here)
    if here not in sys.path:
        sys.path.append(here)
    if found is None:
        raise ValueError(_has_no(imported, module, name))
    if not (isinstance(found, type) and issubclass(found, Generator)):
        raise ValueError(f"{module}:{name} must be a subclass of synthcl.generators.Generator")
    if missing := sorted(found.__abstractmethods__):
        raise ValueError(f"{module}:{name} lacks {', '.join(missing)}, which every generator has")
    return found


def _instead(module: str, name: str) -> str:
    """What to do where a file is given in place of a module, or a name that no module can have; "" if neither is."""
    is_file = module.endswith(".py") or "/" in module
    path = Path(module.removesuffix(".py"))
    stem = path.name if is_file else module
    reasons = ["a module is named, not its file"] if is_file else []
    reasons += [f"no module can have a - in its name, so rename {stem}"] if "-" in stem else []
    if not reasons:
        return ""
    folder = f" from the folder {path.parent}" if is_file and path.parent != Path() else ""
    return f"{'; '.join(reasons)}; give {stem.replace('-', '_')}:{name}{folder}"


def _has_no(imported: ModuleType, module: str, name: str) -> str:
    """That a module lacks a class: where it is, which class has a name near that, and a file that it may hide."""
    place = getattr(imported, "__file__", None)
    near = get_close_matches(name, [own for own, value in vars(imported).items() if isinstance(value, type)], n=1)
    meant = f"; did you mean {near[0]}?" if near else ""
    own = Path(*module.split(".")).with_suffix(".py")
    if own.is_file() and not (place is not None and own.samefile(place)):
        meant += f"; the name of {own} here is taken by it: rename that file"
    return f"the module {module} ({place or 'a part of Python'}) has no {name}{meant}"


def check_contract(generator: Generator) -> None:
    """Try a generator on two samples.

    Raises:
        ContractError: which part of the contract it fails, and how.
    """
    name = type(generator).__name__
    if hasattr(generator, "forward_pair"):
        raise ContractError(f"{name}.forward_pair is no longer called: give it the form of `Generator.neighbours`")
    with _naming(f"{name}.image_size"):
        size = generator.image_size
    if not isinstance(size, Integral) or size < 1:
        missing = "; write @property above it" if inspect.ismethod(size) else ""
        raise ContractError(f"{name}.image_size must be pixels a side, 1 or more, not {_describe(size)}{missing}")
    with _naming(f"{name}.sample_latents"):
        latents = _check_latents(name, generator)
    with torch.no_grad(), _naming(f"{name}.forward"):
        images, alone = generator(latents), generator(latents[1:])
    _check_images(name, images, size)
    difference = (alone - images[1:]).abs().max().item()
    if not difference <= BATCH_TOLERANCE:
        raise ContractError(
            f"an image of {name} must depend on its own latent alone, but differs by {difference:.3g} in another batch "
            "or call: draw all randomness from the latents, and use no statistics of the batch"
        )


@contextmanager
def _naming(part: str) -> Iterator[None]:
    """Has an error of the user's own code say which part of the class it came from."""
    try:
        yield
    except ContractError:
        raise
    except Exception as error:
        raise ContractError(f"{part} failed: {_told(error)}; --debug shows where") from error


def _told(error: Exception) -> str:
    """The kind of an error and the first line of what it says: torch goes on with all that could have been called."""
    first, *more = str(error).splitlines() or [""]
    return f"{type(error).__name__}: {first}{' ...' if more else ''}"


def _check_latents(name: str, generator: Generator) -> Tensor:
    """Latents of two samples, tried."""
    draws = _ProbeDraws(torch.arange(2))
    latents = generator.sample_latents(2, draws=draws)
    if not isinstance(latents, Tensor) or latents.shape[:1] != (2,):
        raise ContractError(f"{name}.sample_latents(2) must give a tensor of 2 latents, not {_describe(latents)}")
    if not torch.equal(latents, generator.sample_latents(2, draws=draws)):
        raise ContractError(f"{name}.sample_latents must depend on its draws alone, and gave two results for the same")
    if not torch.equal(latents[1:], generator.sample_latents(1, draws=draws[1:])):
        raise ContractError(f"{name}.sample_latents must make each latent from its own draws")
    return latents


def _check_images(name: str, images: Any, size: int) -> None:
    if not isinstance(images, Tensor) or images.shape != (2, 3, size, size) or images.dtype != torch.float32:
        raise ContractError(
            f"{name} must give float32 images of shape (2, 3, {size}, {size}) for 2 latents at image_size {size}, "
            f"not {_describe(images)}"
        )
    low, high = images.min().item(), images.max().item()
    if not (low >= -1 and high <= 1):
        raise ContractError(f"images of {name} must be in [-1, 1], not from {low:.3g} to {high:.3g}")


def _describe(value: Any) -> str:
    if isinstance(value, Tensor):
        return f"{str(value.dtype).removeprefix('torch.')} of shape {tuple(value.shape)}"
    if value is None or isinstance(value, (int, float)):
        return repr(value)
    return f"a {type(value).__name__}"


class _ProbeDraws:
    """Draws for the check: each number a function of its sample's index and of its name."""

    def __init__(self, indices: Tensor) -> None:
        self.indices = indices

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, item: slice | Tensor) -> _ProbeDraws:
        return _ProbeDraws(self.indices[item])

    def _stack(self, name: str, draw: Any) -> Tensor:
        salt = int.from_bytes(name.encode()[-6:], "little")
        return torch.stack([draw(torch.Generator().manual_seed(salt * 2 + i)) for i in self.indices.tolist()])

    def uniform(self, name: str, *shape: int) -> Tensor:
        return self._stack(name, lambda g: torch.rand(shape, generator=g))

    def normal(self, name: str, *shape: int) -> Tensor:
        return self._stack(name, lambda g: torch.randn(shape, generator=g))

    def integers(self, name: str, high: int, *shape: int) -> Tensor:
        return self._stack(name, lambda g: torch.randint(high, shape, generator=g))

"""A learner of the user's own: a class that is named as `package.module:Class` and meets the contract of `base`.

It is tried before it trains (see `trial`). `examples/custom_learner.py` is one to start from.
"""

from __future__ import annotations

import hashlib
import inspect
import re
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

from .base import Learner
from .recipe import OptimizerRecipe

_SPECIFICATION = re.compile(r"(?P<module>[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*):(?P<name>[A-Za-z_]\w*)")


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
        module = import_module(match["module"])
    except ModuleNotFoundError as error:
        raise ValueError(_not_found(specification, match["module"], match["name"], error)) from error
    except Exception as error:  # a module of the user's may raise anything
        raise ValueError(f"{specification} could not be imported: {type(error).__name__}: {error}") from error
    finally:
        sys.path.remove(here)
    if here not in sys.path:
        sys.path.append(here)
    found = getattr(module, match["name"], None)
    if found is None:
        raise ValueError(_no_such_class(module, match["name"]))
    if not (isinstance(found, type) and issubclass(found, Learner)):
        raise ValueError(f"{specification} must be a subclass of synthcl.learners.Learner")
    if missing := sorted(found.__abstractmethods__):
        raise ValueError(f"{specification} lacks {', '.join(missing)}, which every learner has")
    if not isinstance(getattr(found, "recipe", None), OptimizerRecipe):
        raise ValueError(
            f"{specification} lacks a recipe: the learning rate and the like to start from, an OptimizerRecipe"
        )
    return found


def _not_found(specification: str, module: str, name: str, error: ModuleNotFoundError) -> str:
    if module.endswith(".py"):
        return f"{specification} names a file; name its module, {module.removesuffix('.py')}:{name}"
    return f"no module {error.name!r}, for the learner {specification}: install it, or run from the folder it is in"


def _no_such_class(module: ModuleType, name: str) -> str:
    there = [other for other, value in vars(module).items() if isinstance(value, type) and issubclass(value, Learner)]
    learners = ", ".join(other for other in there if other != Learner.__name__) or "none"
    where = getattr(module, "__file__", None) or "built in"
    return f"the module {module.__name__} has no {name}; it is {where}, and its learners are: {learners}"


def source_hash(learner_class: type[Learner]) -> str:
    """16 hex digits of the source of a class's module, by which two versions of a method are told apart."""
    module = inspect.getmodule(learner_class)
    try:
        source = inspect.getsource(module) if module is not None else ""
    except (OSError, TypeError):  # typed into an interpreter: there is no file
        source = ""
    return hashlib.sha256(f"{learner_class.__qualname__}\n{source}".encode()).hexdigest()[:16]

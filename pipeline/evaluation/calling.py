"""How the evaluations are called from Python: with a config, or with their options by name."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from ..options.config import Config, takes_options

BY_PLACE = "data"
"""The option that may be given by its place too."""


def takes_data_and_options(config: type[Config]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """`takes_options` for a function of a source and a config; after the source the images may be given by place.

    evaluate_knn("runs/real", KnnConfig(data="digits", k=5))
    evaluate_knn("runs/real", "digits", k=5)
    evaluate_knn("runs/real", data="digits", k=5)
    """

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        with_options = takes_options(config)(function)

        @functools.wraps(with_options)
        def call(*arguments: Any, **options: Any) -> Any:
            if len(arguments) == 2 and not isinstance(arguments[1], config):
                source, data = arguments
                if BY_PLACE in options:
                    raise TypeError(f"{function.__name__} is given {BY_PLACE} twice, by place and by name")
                return with_options(source, **{BY_PLACE: data}, **options)
            return with_options(*arguments, **options)

        source, *named = inspect.signature(with_options).parameters.values()
        named.sort(key=lambda parameter: parameter.name != BY_PLACE)
        named[0] = named[0].replace(kind=inspect.Parameter.POSITIONAL_OR_KEYWORD)
        call.__signature__ = inspect.signature(with_options).replace(parameters=[source, *named])  # type: ignore[attr-defined]
        return call

    return decorate
